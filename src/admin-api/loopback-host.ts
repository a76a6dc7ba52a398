import { isIP } from 'node:net'

/**
 * Whether a request to a loopback address may be answered. A web page can make a browser send requests to 127.0.0.1 under
 * the page's own host name (DNS rebinding), and could then read the answers. The Host header reveals such requests.
 * `listenHost` is the host that the operator has configured.
 */
export function isAllowedOnLoopback(hostHeader: string | undefined, listenHost: string): boolean {
  // Only HTTP/1.0 clients may omit Host, and no browser does.
  if (hostHeader === undefined) return true
  const host = hostNameOf(hostHeader)
  return host !== undefined && (isLoopbackHost(host) || host === listenHost.toLowerCase())
}

export function isLoopbackHost(host: string): boolean {
  const lower = host.toLowerCase()
  if (lower === 'localhost' || lower.endsWith('.localhost') || lower === '::1') return true
  return isIP(lower) === 4 && lower.startsWith('127.')
}

function hostNameOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i.exec(header)
  return (match?.[1] ?? match?.[2])?.toLowerCase()
}
