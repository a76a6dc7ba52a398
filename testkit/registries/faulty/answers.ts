import type { ServerResponse } from 'node:http'

export function sendJson(
  response: ServerResponse,
  status: number,
  content: unknown,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify(content)
  const length = Buffer.byteLength(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** An error as the OCI distribution specification writes it. */
export function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  sendJson(response, status, { errors: [{ code, message: code.toLowerCase(), detail: null }] }, headers)
}
