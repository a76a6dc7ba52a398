import { hkdfSync, scrypt } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { errorCode } from '../../lib/error-code.ts'
import { FileProblem } from '../../lib/watched-file.ts'
import { Failure } from '../../ports/failure.ts'

const MIN_SECRET_BYTES = 16
/** Two secrets of any sensible length fit into 4 KiB; a larger file was named by mistake. */
const MAX_FILE_BYTES = 4096
/** The salt is a constant because all agents must derive the same keys. */
const SALT = 'leat peers 1'
/** Each guess of a secret costs an attacker about 32 MiB of memory (128 × N × r bytes). */
const SCRYPT_COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 }
/** The bit of a file's mode that lets every user read it. */
const READABLE_BY_OTHERS = 0o004

/** The keys derived from a secret. They are in no public field, so that printing the object does not reveal them. */
export class SwarmSecret {
  readonly #root: Uint8Array

  constructor(root: Uint8Array) {
    this.#root = root
  }

  /** The topic in the DHT under which agents find each other. */
  get topic(): Buffer {
    return this.#derive('topic')
  }

  /** The key with which agents prove to each other that they know the secret. */
  get proofKey(): Buffer {
    return this.#derive('proof')
  }

  /** The seed of the key of the authority that issues the certificates of agents. */
  get authoritySeed(): Buffer {
    return this.#derive('authority')
  }

  /** The key of pseudonyms, under which agents share facts that concern only some of them. */
  get pseudonymKey(): Buffer {
    return this.#derive('pseudonym')
  }

  #derive(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#root, '', purpose, 32))
  }
}

export interface SecretFile {
  /** The agent uses the first secret and accepts all of them: there are two while the secret is being rotated. */
  readonly secrets: readonly SwarmSecret[]
  /** What is unsafe about the file, for people. */
  readonly warning: string | undefined
}

/** Throws a `Failure` with a message for people, which never quotes the contents of the file. */
export async function readSecretFile(path: string): Promise<SecretFile> {
  const { text, mode } = await readText(path)
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const texts = [...new Set(lines.filter((line) => line !== ''))]
  if (texts.length === 0 || texts.length > 2) {
    throw invalidFile(
      path,
      `contains ${texts.length === 0 ? 'no secret' : 'more than two secrets'}: it needs one line, or two while the secret is being rotated`,
    )
  }
  if (texts.some((secret) => Buffer.byteLength(secret) < MIN_SECRET_BYTES)) {
    throw invalidFile(
      path,
      `contains a secret that can be guessed: a secret needs at least ${MIN_SECRET_BYTES} bytes, for example from openssl rand -hex 32`,
    )
  }
  const secrets: SwarmSecret[] = []
  for (const secret of texts) secrets.push(await deriveSecret(secret))
  return {
    secrets,
    warning:
      (mode & READABLE_BY_OTHERS) === 0 ? undefined : `the secret file ${path} can be read by everyone`,
  }
}

const scryptAsync = promisify<string, string, number, typeof SCRYPT_COST, Buffer>(scrypt)

export async function deriveSecret(secret: string): Promise<SwarmSecret> {
  return new SwarmSecret(await scryptAsync(secret, SALT, 32, SCRYPT_COST))
}

async function readText(path: string): Promise<{ text: string; mode: number }> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { mode } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1))
    if (bytesRead > MAX_FILE_BYTES)
      throw invalidFile(path, `is larger than ${MAX_FILE_BYTES} bytes: it is not a secret file`)
    return { text: buffer.toString('utf8', 0, bytesRead), mode }
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    const why = errorCode(cause) ?? cause
    throw invalidFile(path, `cannot be read (${why}): name a file that the user of the agent may read`, cause)
  } finally {
    await file?.close()
  }
}

function invalidFile(path: string, problem: string, cause?: unknown): Failure {
  const message = `the secret file ${path} ${problem}`
  return new Failure('disk', message, { cause: new FileProblem(path, message, { cause }) })
}
