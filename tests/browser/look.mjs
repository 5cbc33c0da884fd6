// Opens every page of a workspace in Chromium, narrow and wide, light and dark, and writes down what it sees.
// node look.mjs --url http://127.0.0.1:8765/ --chromium /usr/bin/chromium --to FOLDER [--most-alike 2]
// FOLDER gets look.json and one screenshot a page. Judging is left to test_workspace_browser.py.
import { readFile, mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: given } = parseArgs({
  options: {
    url: { type: "string" },
    chromium: { type: "string" },
    to: { type: "string" },
    "most-alike": { type: "string", default: "2" },
  },
});
const START = new URL(given.url);
const MOST_ALIKE = Number(given["most-alike"]);
const WIDTHS = [375, 1440];
const BETWEEN = [320, 768, 1000, 1024];
const SCHEMES = ["light", "dark"];
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Pages that differ in a number only: a few of them stand for the others.
const alike = (path) => path.replace(/\/\d+(?=$|\?)/, "/N").replace(/page=\d+/, "page=N");
const nameOf = (path) => path.replace(/^\//, "").replace(/[^A-Za-z0-9]+/g, "-").replace(/-$/, "") || "home";

// What is asked of each page inside the browser.
const insideThePage = async () => {
  const images = [...document.images];
  images.forEach((image) => { image.loading = "eager"; });
  await Promise.all(images.map((image) => image.decode().catch(() => undefined)));
  const width = document.documentElement.clientWidth;
  const within = (node) => node.closest(".scroll, .unseen, .skip, thead");
  const sticking = [...document.querySelectorAll("body *")].filter(
    (node) => node.getBoundingClientRect().right > width + 1 && !within(node) && !(node instanceof SVGElement),
  );
  return {
    title: document.title,
    overflow: document.documentElement.scrollWidth - width,
    sticking: sticking.slice(0, 5).map((node) => `${node.tagName.toLowerCase()}.${node.className}`),
    broken: images.filter((image) => image.naturalWidth === 0).map((image) => image.getAttribute("src")),
    unlabelled: images.filter((image) => !image.hasAttribute("alt")).map((image) => image.getAttribute("src")),
    scripts: document.scripts.length,
    headings: [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map((node) => Number(node.tagName[1])),
    links: [...document.links].map((link) => link.href),
    loaded: images.filter((image) => /\/pictures\//.test(image.src)).length,
  };
};
const accessibility = async () => {
  const found = await globalThis.axe.run(document, { rules: { "target-size": { enabled: true } } });
  const violations = found.violations.map((one) => ({
    rule: one.id, impact: one.impact, help: one.help, nodes: one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)),
  }));
  const unsure = found.incomplete.map((one) => `${one.id}: ${one.nodes.length}`);
  return { violations, unsure, rules_passed: found.passes.length };
};

const browser = await chromium.launch({ executablePath: given.chromium, headless: true, args: FLAGS });
const report = { browser: browser.version(), pages: [], links: {}, keyboard: {} };
await mkdir(given.to, { recursive: true });

// One window for each width and scheme, used for all pages: nothing is kept between pages but the style sheet.
const windows = [];
for (const width of WIDTHS) {
  for (const scheme of SCHEMES) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
    windows.push({ width, scheme, page: await context.newPage() });
  }
}

// The browser is still starting while it opens its first page, and takes the processor from the server: not measured.
await windows[0].page.goto(START.href);

const look = async (path, { width, scheme, page }) => {
  const seen = { path, width, scheme, console: [], elsewhere: [], failed: [], between: {}, bytes: 0 };
  const sizes = [];
  page.removeAllListeners();
  page.on("console", (line) => ["error", "warning"].includes(line.type()) && seen.console.push(line.text()));
  page.on("pageerror", (error) => seen.console.push(String(error)));
  const asked = new Set(); // what the page before had asked for, and leaving it cut off, is not this page's failure
  page.on("request", (request) => {
    asked.add(request);
    if (new URL(request.url()).host !== START.host) seen.elsewhere.push(request.url());
  });
  page.on("requestfailed", (request) => asked.has(request) && seen.failed.push(request.url()));
  page.on("response", (answer) => {
    if (answer.status() >= 400 && answer.request().resourceType() !== "document") seen.failed.push(answer.url());
    if (!/\/pictures\//.test(answer.url())) sizes.push(answer.body().then((body) => body.length, () => 0));
  });
  const answer = await page.goto(new URL(path, START).href, { waitUntil: "load" });
  seen.status = answer.status();
  seen.timing = Number(/total;dur=([\d.]+)/.exec(answer.headers()["server-timing"] ?? "")?.[1] ?? NaN);
  Object.assign(seen, await page.evaluate(insideThePage));
  seen.bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  await page.evaluate(AXE);
  Object.assign(seen, await page.evaluate(accessibility));
  await page.screenshot({ path: join(given.to, `${nameOf(path)}-${width}-${scheme}.png`), fullPage: true });
  if (width === WIDTHS[0] && scheme === SCHEMES[0]) {
    for (const between of BETWEEN) {
      await page.setViewportSize({ width: between, height: 900 });
      seen.between[between] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    }
    await page.setViewportSize({ width, height: 900 });
  }
  report.pages.push(seen);
  return seen;
};

// Every page that a link leads to, from the first on.
const toOpen = ["/"];
const known = new Set(toOpen);
const many = {};
while (toOpen.length) {
  const path = toOpen.shift();
  let links = [];
  for (const each of windows) links = (await look(path, each)).links;
  for (const link of links.map((each) => new URL(each)).filter((each) => each.host === START.host)) {
    const next = link.pathname + link.search;
    if (known.has(next)) continue;
    known.add(next);
    const kind = alike(next);
    many[kind] = (many[kind] ?? 0) + 1;
    if (!link.pathname.endsWith(".json") && (kind === next || many[kind] <= MOST_ALIKE)) toOpen.push(next);
  }
}
for (const path of known) {
  report.links[path] = (await fetch(new URL(path, START), { method: "HEAD" })).status;
}

// The keyboard: what the Tab key visits, in which order, and whether one sees where one is.
const walk = async (path) => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(new URL(path, START).href);
  const expected = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], summary, [tabindex='0']")];
    all.forEach((node, place) => { node.dataset.place = String(place); });
    const folded = (node) => node.closest("details:not([open])") && node.tagName !== "SUMMARY";
    return all.filter((node) => !folded(node)).map((node) => Number(node.dataset.place));
  });
  const visited = [];
  for (let step = 0; step < expected.length; step += 1) {
    await page.keyboard.press("Tab");
    visited.push(await page.evaluate(() => {
      const here = document.activeElement;
      const style = getComputedStyle(here);
      const box = here.getBoundingClientRect();
      const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      const inView = box.bottom > 0 && box.top < innerHeight && box.width > 0;
      return { place: Number(here.dataset.place ?? -1), text: here.textContent.trim().slice(0, 60), row: here.closest("tr")?.id ?? "", outlined, inView };
    }));
  }
  await context.close();
  return { expected, visited };
};
for (const path of [...known].filter((each) => /^\/usecases\/[^/?]+$/.test(each))) {
  report.keyboard[path] = await walk(path);
}

await browser.close();
await writeFile(join(given.to, "look.json"), JSON.stringify(report, null, 1));
console.log(`${report.pages.length} views of ${report.pages.length / 4} pages`);
