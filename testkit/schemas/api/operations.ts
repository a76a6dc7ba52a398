import { type AdminCommand, adminRoute, PATHS, type ReadRoute } from '../../../src/admin-api/route.ts'
import type { ShapeName } from './shapes.ts'

/** What one method does at one path of the admin address. */
export interface Operation {
  readonly summary: string
  readonly request?: ShapeName
  /** What the body is, if it is JSON without a shape. */
  readonly body?: string
  /** The token that it needs if the agent has `adminAuth`, or `secret`: one of its own; default: `token`. */
  readonly security?: 'none' | 'secret' | 'token'
  /**
   * The name of a shape, which comes whole (`json`) or as each of many lines (`lines`); plain text; or what the list `images` of
   * a 202 has.
   */
  readonly answer:
    | { readonly json: ShapeName }
    | { readonly lines: ShapeName }
    | { readonly text: string }
    | { readonly acceptedImages: string }
  readonly parameters?: readonly Parameter[]
  /** What 503 says, where it is an answer and no error. */
  readonly unavailable?: string
}

export interface Parameter {
  readonly name: string
  readonly required: boolean
  readonly description: string
  readonly schema: Readonly<Record<string, unknown>>
}

type OperationId = Exclude<ReadRoute['kind'], 'page' | 'unknown' | 'invalid'> | AdminCommand | 'notification'

/** A route of the router without an entry is a mistake of types. */
const OPERATIONS: Readonly<Record<OperationId, Operation>> = {
  metrics: { summary: 'Metrics of this node for Prometheus.', answer: { text: 'the text format 0.0.4' } },
  healthz: { summary: 'Whether the process is alive.', answer: { text: '`ok`' }, security: 'none' },
  readyz: {
    summary: 'Whether clients are served, and what is wrong nevertheless.',
    answer: { text: '`ready`, then a line for each problem' },
    unavailable: '`not ready:` and the reasons',
    security: 'none',
    parameters: [
      {
        name: 'warm',
        required: false,
        description: 'Also whether the images of the setting `warm` are completely stored.',
        schema: { enum: ['1', 'true', ''] },
      },
      {
        name: 'asked',
        required: false,
        description:
          'Also whether a client has asked for an image, or the agent runs for less than this many seconds.',
        schema: { type: 'integer', minimum: 1, default: 3600 },
      },
    ],
  },
  status: { summary: 'The state of this node, as `agent status` shows it.', answer: { json: 'status' } },
  pulls: { summary: 'The last pulls of clients, the newest first.', answer: { json: 'pulls' } },
  history: { summary: 'The last hour and the last day of this node.', answer: { json: 'history' } },
  swarm: {
    summary:
      'What the agents of the swarm do now: their bytes by source, stores and transfers. Asks at most 64 of them.',
    answer: { json: 'swarm' },
  },
  blobs: {
    summary: 'All stored blobs and manifests, by digest (`agent ls --blobs`).',
    answer: { lines: 'blobs.line' },
  },
  images: { summary: 'All tags, by name (`agent ls`).', answer: { lines: 'images.line' } },
  events: {
    summary: 'What the node does, as it happens, until the client leaves (`agent events`).',
    answer: { lines: 'events.line' },
    unavailable: 'too many clients follow the events',
  },
  why: {
    summary: 'The state and the history of one image or digest (`agent why`).',
    answer: { json: 'why' },
    parameters: [
      {
        name: 'subject',
        required: true,
        description: 'An image or a digest, such as `alpine:3`.',
        schema: { type: 'string', maxLength: 528 },
      },
    ],
  },
  gc: {
    summary: 'Evicts the least recently used content (`agent gc`).',
    request: 'gc.request',
    answer: { lines: 'gc.line' },
  },
  collect: {
    summary: 'Removes what no tag of a hosted repository needs (`agent gc --hosted`).',
    request: 'hosted-gc.request',
    answer: { lines: 'hosted-gc.line' },
  },
  verify: {
    summary: 'Hashes all stored content again (`agent verify`).',
    request: 'verify.request',
    answer: { lines: 'verify.line' },
  },
  warm: {
    summary: 'Stores images before they are pulled (`agent warm`).',
    request: 'warm.request',
    answer: { lines: 'warm.line' },
  },
  pin: {
    summary: 'Protects images from eviction (`agent pin`).',
    request: 'pins.request',
    answer: { json: 'pins' },
  },
  unpin: {
    summary: 'Ends the protection of images (`agent unpin`).',
    request: 'pins.request',
    answer: { json: 'pins' },
  },
  notification: {
    summary:
      'Takes the notification of a registry that images were pushed, for entries of `copies` with `notified`.',
    body: 'What the registry sends: JSON, of any media type.',
    security: 'secret',
    answer: { acceptedImages: 'the images that are copied now' },
  },
  remove: {
    summary: 'Removes images and the content that only they need (`agent rm`).',
    request: 'removal.request',
    answer: { lines: 'removal.line' },
  },
}

export interface PathOperation {
  readonly path: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly id: OperationId
  readonly operation: Operation
}

/** All operations, as the router knows them, without `HEAD`: it is `GET` without a body. */
export function* operations(): Iterable<PathOperation> {
  for (const path of PATHS) {
    const any = adminRoute('OPTIONS', path)
    if (any.kind !== 'method-not-allowed') throw new TypeError(`the router answers OPTIONS of ${path}`)
    for (const method of any.allow.split(', ')) {
      if (method === 'HEAD') continue
      const route = adminRoute(method, `${path}?subject=alpine`)
      const id = route.kind === 'command' ? route.command : (route.kind as OperationId)
      yield { path, method: method as PathOperation['method'], id, operation: OPERATIONS[id] }
    }
  }
}
