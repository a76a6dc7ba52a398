import { createHash, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'
import { privateKeyOf } from './ed25519.ts'
import type { MemberId } from './member.ts'

/** In the data folder. */
const FILE = 'identity'
const DRAFT = 'identity.new'
const SEED = /^[0-9a-f]{64}\n$/
const SEED_BYTES = 32

/** The key pair by which an agent is known to its peers, also when it starts again. */
export interface Identity {
  readonly id: MemberId
  readonly publicKey: Buffer
  /** As libsodium has it: the seed, then the public key. */
  readonly secretKey: Buffer
}

/** Reads it from the folder, or makes one there. */
export async function loadIdentity(folder: string): Promise<Identity> {
  const path = join(folder, FILE)
  const text = await readFile(path, 'latin1').catch((error: unknown) => {
    const code = errorCode(error)
    if (code === 'ENOENT') return undefined
    throw new Failure(
      'disk',
      `${path} cannot be read (${code}): let the agent's user read it, or remove it and the agent joins its peers as a new one`,
      { cause: error },
    )
  })
  if (text === undefined) return makeIdentity(folder)
  if (!SEED.test(text)) {
    throw new Failure('disk', `${path} is damaged: remove it, and the agent joins its peers as a new one`)
  }
  return identityOf(Buffer.from(text.trim(), 'hex'))
}

export function identityOf(seed: Buffer): Identity {
  const publicKey = createPublicKey(privateKeyOf(seed)).export({ type: 'spki', format: 'der' }).subarray(-32)
  return { id: memberIdOf(publicKey), publicKey, secretKey: Buffer.concat([seed, publicKey]) }
}

/** With which an agent proves to others that it is the one. */
export function signingKeyOf({ secretKey }: Identity): KeyObject {
  return privateKeyOf(secretKey.subarray(0, SEED_BYTES))
}

export function memberIdOf(publicKey: Uint8Array): MemberId {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 32) as MemberId
}

async function makeIdentity(folder: string): Promise<Identity> {
  const seed = randomBytes(SEED_BYTES)
  const draft = await open(join(folder, DRAFT), 'w', 0o600)
  try {
    await draft.chmod(0o600)
    await draft.writeFile(`${seed.toString('hex')}\n`)
    await draft.sync()
  } finally {
    await draft.close()
  }
  await rename(join(folder, DRAFT), join(folder, FILE))
  await syncFolder(folder)
  return identityOf(seed)
}

/** The name is to last too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
