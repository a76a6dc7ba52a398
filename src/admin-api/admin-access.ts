import { createHash, timingSafeEqual } from 'node:crypto'
import { FileProblem, WatchedFile } from '../lib/watched-file.ts'
import { publish } from '../observe/events.ts'
import { type AdminAnswer, errorAnswer } from './answer.ts'
import type { AdminRoute } from './route.ts'

/** Files with the tokens of the admin address. They are read again when they change. */
export interface AdminAuth {
  /** The token for everything. */
  readonly tokenFile: string
  /** Another token, which is good for all that changes nothing. */
  readonly readTokenFile?: string | undefined
}

/** How long it may take until a change of a file is noticed. */
const CHECK_MS = 1000
const TOKEN = /^[\x21-\x7e]{16,512}$/

/** What a request needs. The page has no secrets in its files, and asks for the token itself. */
const RIGHTS: Readonly<Record<AdminRoute['kind'], 'none' | 'read' | 'change'>> = {
  page: 'none',
  healthz: 'none',
  readyz: 'none',
  unknown: 'none',
  'method-not-allowed': 'none',
  // It has a secret of its own, because a registry must not have the token for everything.
  notification: 'none',
  metrics: 'read',
  status: 'read',
  pulls: 'read',
  history: 'read',
  swarm: 'read',
  blobs: 'read',
  images: 'read',
  events: 'read',
  why: 'read',
  invalid: 'read',
  command: 'change',
}

/** Decides by its token what a client of the admin address may have. */
export class AdminAccess {
  readonly #forAll: WatchedFile<Buffer>
  readonly #forReading: WatchedFile<Buffer> | undefined

  private constructor({ tokenFile, readTokenFile }: AdminAuth, checkMs: number) {
    this.#forAll = tokenIn(tokenFile, checkMs)
    this.#forReading = readTokenFile === undefined ? undefined : tokenIn(readTokenFile, checkMs)
  }

  /** Rejects with a `FileProblem` when a file cannot be used. */
  static async open(auth: AdminAuth, { checkMs = CHECK_MS } = {}): Promise<AdminAccess> {
    const access = new AdminAccess(auth, checkMs)
    await Promise.all([access.#forAll.read(), access.#forReading?.read()])
    return access
  }

  /** The answer to a client that may not have what it asks for. */
  async refuse(route: AdminRoute, authorization: string | undefined): Promise<AdminAnswer | undefined> {
    const right = RIGHTS[route.kind]
    if (right === 'none') return undefined
    const [, token] = /^bearer +([^ ]+) *$/i.exec(authorization ?? '') ?? []
    if (token === undefined) {
      const answer = errorAnswer(
        401,
        'this needs a token; give its file with --admin-token-file, or send it as Authorization: Bearer TOKEN',
      )
      return { ...answer, challenge: 'Bearer realm="leat"' }
    }
    const given = hashOf(token)
    // Both are compared, so that the time says nothing about which one was right.
    const [isForAll, isForReading] = await Promise.all([
      this.#forAll.read().then((known) => timingSafeEqual(known, given)),
      this.#forReading?.read().then((known) => timingSafeEqual(known, given)),
    ])
    if (isForAll || (isForReading === true && right === 'read')) return undefined
    if (isForReading === true)
      return errorAnswer(403, 'this token is for reading only; give the one in tokenFile of adminAuth')
    const answer = errorAnswer(
      401,
      'the token is wrong; give the file of the right one with --admin-token-file, or send it as Authorization: Bearer TOKEN',
    )
    return { ...answer, challenge: 'Bearer realm="leat", error="invalid_token"' }
  }
}

function tokenIn(path: string, checkMs: number): WatchedFile<Buffer> {
  return new WatchedFile(path, {
    parse: (text) => {
      const token = text.trim()
      if (TOKEN.test(token)) return hashOf(token)
      throw new FileProblem(
        path,
        `${path} holds no token; write 16 to 512 characters into it, such as those of openssl rand -hex 32`,
      )
    },
    checkMs,
    onProblem: (problem) => publish('file.checked', { file: path, problem: problem?.message }),
  })
}

/** Hashes have one length, so they can be compared in constant time. */
function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
