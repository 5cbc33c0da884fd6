"""Ways in: a source's rows become events, or rejections that say why."""
