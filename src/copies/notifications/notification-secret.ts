import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import { parseSecrets } from '../../webhooks/signature.ts'

/** How long it may take until a change of the file is noticed. */
const CHECK_MS = 1000

/** A notification as it has come. */
export interface Notification {
  readonly body: Uint8Array
  /** `Bearer SECRET`, or the secret alone, as Harbor sends it. */
  readonly authorization: string | undefined
  /** `sha256=` and the HMAC of the body, as GitHub sends it in X-Hub-Signature-256. */
  readonly signature: string | undefined
}

/** The secret that a registry shares with the agent, in a file that is read again when it changes. */
export class NotificationSecret {
  readonly #file: WatchedFile<readonly Uint8Array[]>

  constructor(path: string) {
    this.#file = new WatchedFile(path, {
      parse: (text) => parseSecrets(text, path),
      checkMs: CHECK_MS,
      onProblem: (problem) => publish('file.checked', { file: path, problem: problem?.message }),
    })
  }

  /** Rejects with a `FileProblem` when the file cannot be used. */
  async open(): Promise<void> {
    await this.#file.read()
  }

  /** Whether the sender of a notification knows the secret. */
  async isKnownTo({ body, authorization, signature }: Notification): Promise<boolean> {
    const secrets = await this.#file.read()
    const token = authorization?.replace(/^bearer +/i, '').trim()
    const [, hex] = /^sha256=([\da-f]{64})$/i.exec(signature ?? '') ?? []
    // All are compared, so that the time says nothing about which one was right.
    const matches = secrets.map((secret) => {
      const hasToken = token !== undefined && isSame(Buffer.from(token), secret)
      const hasSignature =
        hex !== undefined &&
        isSame(Buffer.from(hex, 'hex'), createHmac('sha256', secret).update(body).digest())
      return hasToken || hasSignature
    })
    return matches.includes(true)
  }
}

/** Hashes have one length, so they can be compared in constant time. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
  return timingSafeEqual(hash(one), hash(other))
}
