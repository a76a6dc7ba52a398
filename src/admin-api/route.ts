import { isPagePath, type PagePath } from './page.ts'

/** A request that changes nothing. */
export type ReadRoute =
  | {
      readonly kind:
        | 'metrics'
        | 'healthz'
        | 'status'
        | 'pulls'
        | 'history'
        | 'swarm'
        | 'blobs'
        | 'images'
        | 'events'
    }
  /** Nothing is at the path; `known` are the paths at which something is. */
  | { readonly kind: 'unknown'; readonly known: readonly string[] }
  | { readonly kind: 'page'; readonly path: PagePath }
  /**
   * With `includesWarm` the agent is ready only when all images that are to be kept warm are stored, and with
   * `askedAfterSeconds` only if a client has asked for an image, or it has not run for so long.
   */
  | {
      readonly kind: 'readyz'
      readonly includesWarm: boolean
      readonly askedAfterSeconds: number | undefined
    }
  | { readonly kind: 'why'; readonly subject: string }
  | { readonly kind: 'invalid'; readonly problem: string }

/** A request that changes what is stored. */
export type AdminCommand = 'gc' | 'collect' | 'verify' | 'warm' | 'pin' | 'unpin' | 'remove'

export type AdminRoute =
  | ReadRoute
  | { readonly kind: 'command'; readonly command: AdminCommand }
  /** A registry says that images were pushed. */
  | { readonly kind: 'notification' }
  /** The path exists, but does not support the method. */
  | { readonly kind: 'method-not-allowed'; readonly allow: string }

/** The command of each path and method. */
const COMMANDS: Readonly<Record<string, Readonly<Record<string, AdminCommand>>>> = {
  '/api/v1/gc': { POST: 'gc' },
  '/api/v1/hosted/gc': { POST: 'collect' },
  '/api/v1/verify': { POST: 'verify' },
  '/api/v1/warm': { POST: 'warm' },
  '/api/v1/pins': { POST: 'pin', DELETE: 'unpin' },
  '/api/v1/images': { DELETE: 'remove' },
}
/** What can be read at each path, besides the files of the page. */
const READS: Readonly<Record<string, (query: URLSearchParams) => ReadRoute>> = {
  '/metrics': () => ({ kind: 'metrics' }),
  '/healthz': () => ({ kind: 'healthz' }),
  '/readyz': (query) => ({
    kind: 'readyz',
    includesWarm: ['', '1', 'true'].includes(query.get('warm') ?? '0'),
    askedAfterSeconds: query.has('asked') ? Number(query.get('asked')) || ASKED_AFTER_SECONDS : undefined,
  }),
  '/api/v1/status': () => ({ kind: 'status' }),
  '/api/v1/pulls': () => ({ kind: 'pulls' }),
  '/api/v1/history': () => ({ kind: 'history' }),
  '/api/v1/swarm': () => ({ kind: 'swarm' }),
  '/api/v1/blobs': () => ({ kind: 'blobs' }),
  '/api/v1/images': () => ({ kind: 'images' }),
  '/api/v1/events': () => ({ kind: 'events' }),
  '/api/v1/why': whyRoute,
}
/** Where registries say what was pushed. */
const NOTIFICATIONS = '/api/v1/notifications'
/** All paths but those of the page. */
export const PATHS: readonly string[] = [
  ...new Set([...Object.keys(READS), ...Object.keys(COMMANDS), NOTIFICATIONS]),
].sort()
const READ_METHODS = ['GET', 'HEAD']
/** The paths of an address that is for monitoring alone. */
const MONITORING_PATHS: readonly string[] = ['/metrics', '/healthz', '/readyz']

/** A node on which pods start asks for an image within this time. */
const ASKED_AFTER_SECONDS = 3600

/** The length of the longest valid reference: host and name, tag, digest. */
const MAX_SUBJECT_LENGTH = 255 + 1 + 128 + 1 + 7 + 128

/** `target` is the request target as sent. */
export function adminRoute(method: string, target: string): AdminRoute {
  const queryMark = target.indexOf('?')
  const path = queryMark < 0 ? target : target.slice(0, queryMark)
  if (path === NOTIFICATIONS)
    return method === 'POST' ? { kind: 'notification' } : { kind: 'method-not-allowed', allow: 'POST' }
  const commands = Object.hasOwn(COMMANDS, path) ? COMMANDS[path] : undefined
  const command = commands !== undefined && Object.hasOwn(commands, method) ? commands[method] : undefined
  if (command !== undefined) return { kind: 'command', command }
  const read = readRoute(path, new URLSearchParams(queryMark < 0 ? '' : target.slice(queryMark + 1)))
  const isReadable = read.kind !== 'unknown'
  if (READ_METHODS.includes(method) && (isReadable || commands === undefined)) return read
  const allowed = [
    ...(isReadable || commands === undefined ? READ_METHODS : []),
    ...Object.keys(commands ?? {}),
  ]
  return { kind: 'method-not-allowed', allow: allowed.join(', ') }
}

/** The route at an address that offers metrics and health, and nothing else. */
export function monitoringRoute(method: string, target: string): AdminRoute {
  const [path = ''] = target.split('?', 1)
  return MONITORING_PATHS.includes(path)
    ? adminRoute(method, target)
    : { kind: 'unknown', known: MONITORING_PATHS }
}

function readRoute(path: string, query: URLSearchParams): ReadRoute {
  if (isPagePath(path)) return { kind: 'page', path }
  const read = Object.hasOwn(READS, path) ? READS[path] : undefined
  return read?.(query) ?? { kind: 'unknown', known: ['/', ...PATHS] }
}

function whyRoute(query: URLSearchParams): ReadRoute {
  const subject = query.get('subject') ?? ''
  if (subject === '')
    return {
      kind: 'invalid',
      problem: 'the parameter subject is missing; give an image or a digest, such as ?subject=alpine:3',
    }
  if (subject.length > MAX_SUBJECT_LENGTH)
    return {
      kind: 'invalid',
      problem: 'the parameter subject is too long; give an image or a digest, such as ?subject=alpine:3',
    }
  return { kind: 'why', subject }
}
