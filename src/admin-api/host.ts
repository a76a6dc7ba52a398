import { isIP } from 'node:net'

/**
 * Whether a request that came to a loopback address was meant for it. A web page can make a browser send requests to
 * 127.0.0.1 under a name of its own (DNS rebinding) and would be allowed to read the answers; the Host header tells.
 * `listenHost` is what the operator gave as the address to listen on.
 */
export function isMeantForLoopback(hostHeader: string | undefined, listenHost: string): boolean {
  // Only HTTP/1.0 may leave it out, and no browser does.
  if (hostHeader === undefined) return true
  const host = hostOf(hostHeader)
  return host !== undefined && (isLoopbackHost(host) || host === listenHost.toLowerCase())
}

export function isLoopbackHost(host: string): boolean {
  const lower = host.toLowerCase()
  if (lower === 'localhost' || lower.endsWith('.localhost') || lower === '::1') return true
  return isIP(lower) === 4 && lower.startsWith('127.')
}

function hostOf(header: string): string | undefined {
  const found = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i.exec(header)
  return (found?.[1] ?? found?.[2])?.toLowerCase()
}
