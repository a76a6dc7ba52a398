import { hkdfSync, scrypt } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'

const LEAST_BYTES = 16
/** A secret is a line of text; whatever is longer is another file. */
const MOST_BYTES = 4096
/** Fixed, since all agents must come to the same keys; what is guessed costs this much each time. */
const SALT = 'leat peers 1'
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 }
const OTHERS_MAY_READ = 0o004

/** What follows from a secret. Without fields, so that it is not printed by accident. */
export class SwarmSecret {
  readonly #root: Uint8Array

  constructor(root: Uint8Array) {
    this.#root = root
  }

  /** Under which the agents find each other. */
  get topic(): Buffer {
    return this.#derive('topic')
  }

  /** With which they prove to each other that they know the secret. */
  get proofKey(): Buffer {
    return this.#derive('proof')
  }

  /** Of the key that signs their certificates. */
  get authoritySeed(): Buffer {
    return this.#derive('authority')
  }

  /** Under which they name to each other what only some of them know. */
  get pseudonymKey(): Buffer {
    return this.#derive('pseudonym')
  }

  #derive(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#root, '', purpose, 32))
  }
}

export interface SecretFile {
  /** The first is used, all are accepted: two while the secret is being changed. */
  readonly secrets: readonly SwarmSecret[]
  /** A reason to be warned about the file. */
  readonly warning: string | undefined
}

/** Throws a `Failure` in one sentence, which never tells what is in the file. */
export async function readSecretFile(path: string): Promise<SecretFile> {
  const { text, mode } = await readText(path)
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const given = [...new Set(lines.filter((line) => line !== ''))]
  if (given.length === 0 || given.length > 2) {
    throw refusal(
      path,
      `holds ${given.length === 0 ? 'no secret' : 'more than two secrets'}: give it one line, or two while the secret is being changed`,
    )
  }
  if (given.some((secret) => Buffer.byteLength(secret) < LEAST_BYTES)) {
    throw refusal(
      path,
      `holds a secret that can be guessed: give it at least ${LEAST_BYTES} bytes, for example from openssl rand -hex 32`,
    )
  }
  const secrets: SwarmSecret[] = []
  for (const secret of given) secrets.push(await deriveSecret(secret))
  return {
    secrets,
    warning:
      (mode & OTHERS_MAY_READ) === 0
        ? undefined
        : `${path} with the secret of the peers can be read by everyone`,
  }
}

const hardened = promisify<string, string, number, typeof COST, Buffer>(scrypt)

export async function deriveSecret(secret: string): Promise<SwarmSecret> {
  return new SwarmSecret(await hardened(secret, SALT, 32, COST))
}

async function readText(path: string): Promise<{ text: string; mode: number }> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { mode } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST_BYTES + 1))
    if (bytesRead > MOST_BYTES) throw refusal(path, `is larger than ${MOST_BYTES} bytes: it is another file`)
    return { text: buffer.toString('utf8', 0, bytesRead), mode }
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    const why = errorCode(cause) ?? cause
    throw refusal(path, `cannot be read (${why}): name a file that the agent's user may read`, cause)
  } finally {
    await file?.close()
  }
}

function refusal(path: string, problem: string, cause?: unknown): Failure {
  return new Failure('disk', `the file of the peers' secret, ${path}, ${problem}`, { cause })
}
