import { isPushRoute, isRead, parseRoute, type Route, refusedRoute, wrongMethod } from './route.ts'

/** What a request to the port asks for: the registry API, and with redirects something else. */
export type ServedRoute =
  | Route
  /** The web page of a redirected host. */
  | { readonly kind: 'page' }
  /** The question whether the port is served, which load balancers ask. */
  | { readonly kind: 'health' }

/** Reads the path of a request to a redirected host, which has the API for reading, and a page about itself. */
export function parseRedirectedRoute(method: string, path: string): ServedRoute {
  if (!isRead(method)) return wrongMethod('GET, HEAD')
  if (path === '/') return { kind: 'page' }
  if (isHealthPath(path)) return { kind: 'health' }
  const route = parseRoute(method, path)
  if (route.kind !== 'catalog' && !isPushRoute(route)) return route
  const message = 'not found: this host stands before another registry, and has neither a catalog nor uploads'
  return refusedRoute(404, 'UNSUPPORTED', message)
}

/** With redirects every host of the port has this path: a load balancer names the agent by its address. */
export function isHealthPath(path: string): boolean {
  return path === '/healthz'
}
