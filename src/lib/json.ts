/** Gives the parsed value; undefined for a text that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Gives the JSON object in these bytes; undefined when they are not JSON, or another JSON value. */
export function jsonObject(bytes: Uint8Array): object | undefined {
  const json = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? json : undefined
}
