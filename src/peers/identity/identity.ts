import { createHash, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'
import { privateKeyOf } from './ed25519.ts'
import type { MemberId } from './member.ts'

/** Names of files in the data folder. */
const IDENTITY_FILE = 'identity'
const UNFINISHED_FILE = 'identity.new'
const SEED_LINE = /^[0-9a-f]{64}\n$/
const SEED_BYTES = 32

/** The key pair that identifies an agent to its peers. The agent keeps it when it restarts. */
export interface Identity {
  readonly id: MemberId
  readonly publicKey: Buffer
  /** In the format of libsodium: the seed, then the public key. */
  readonly secretKey: Buffer
}

/** Reads the identity from the data folder, or creates one in it. */
export async function loadIdentity(folder: string): Promise<Identity> {
  const path = join(folder, IDENTITY_FILE)
  const text = await readFile(path, 'latin1').catch((error: unknown) => {
    const code = errorCode(error)
    if (code === 'ENOENT') return undefined
    throw new Failure(
      'disk',
      `${path} cannot be read (${code}): make it readable for the user of the agent, or remove it and the agent joins the swarm as a new member`,
      { cause: error },
    )
  })
  if (text === undefined) return createIdentity(folder)
  if (!SEED_LINE.test(text)) {
    throw new Failure('disk', `${path} is damaged: remove it, and the agent joins the swarm as a new member`)
  }
  return identityOf(Buffer.from(text.trim(), 'hex'))
}

export function identityOf(seed: Buffer): Identity {
  const publicKey = createPublicKey(privateKeyOf(seed)).export({ type: 'spki', format: 'der' }).subarray(-32)
  return { id: memberIdOf(publicKey), publicKey, secretKey: Buffer.concat([seed, publicKey]) }
}

/** The private key with which the agent signs, and which belongs to its certificate. */
export function signingKeyOf({ secretKey }: Identity): KeyObject {
  return privateKeyOf(secretKey.subarray(0, SEED_BYTES))
}

export function memberIdOf(publicKey: Uint8Array): MemberId {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 32) as MemberId
}

async function createIdentity(folder: string): Promise<Identity> {
  const seed = randomBytes(SEED_BYTES)
  const file = await open(join(folder, UNFINISHED_FILE), 'w', 0o600)
  try {
    await file.chmod(0o600)
    await file.writeFile(`${seed.toString('hex')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(join(folder, UNFINISHED_FILE), join(folder, IDENTITY_FILE))
  await syncFolder(folder)
  return identityOf(seed)
}

/** Syncing the folder makes the new name of the file survive a power failure. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
