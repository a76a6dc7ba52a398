import { constants } from 'node:fs'
import { access, lstat, mkdir, open, readdir, readFile, realpath, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { errorCode } from '../../lib/error-code.ts'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'

/** Version of everything in the store's folder. It goes up when an older agent could no longer read the folder. */
const VERSION = 1
const FORMAT_FILE = 'format'
const FORMAT_DRAFT_FILE = 'format.new'
/** A folder that holds nothing else may become the store's folder: a fresh volume has `lost+found`. */
const OWN_NAMES = new Set([FORMAT_FILE, FORMAT_DRAFT_FILE, 'identity', 'lost+found'])
const Format = v.object({ version: v.number() })

/** Only the agent writes to its folders, and only its group may read them, because private images are secret. */
export const FOLDER_MODE = 0o750
export const FILE_MODE = 0o640
/** The agent makes no symbolic links. A link in place of a blob could point anywhere, so it is not followed. */
export const READ_PLAIN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW

/** The paths in the store's folder. */
export class Layout {
  readonly root: string
  readonly blobs: string
  readonly partial: string
  readonly quarantine: string
  readonly index: string
  /** The journal of what is hosted. */
  readonly hosted: string
  /** A file that only takes up room on the disk; `database/reserve-file.ts` says why. */
  readonly reserve: string
  /** A file that is there while a repair of the index is not over; `database/repair-mark.ts` says why. */
  readonly repairMark: string

  constructor(root: string) {
    this.root = root
    this.blobs = join(root, 'blobs')
    this.partial = join(root, 'partial')
    this.quarantine = join(root, 'quarantine')
    this.index = join(root, 'index')
    this.hosted = join(root, 'hosted')
    this.reserve = join(root, 'reserve')
    this.repairMark = join(root, 'index.repair')
  }

  /** The folder of a blob. There are 256 folders for each algorithm, named after the first two digits of the digest. */
  blobFolder(digest: Digest): string {
    return join(this.blobs, algorithmOf(digest), hexOf(digest).slice(0, 2))
  }

  blob(digest: Digest): string {
    return join(this.blobFolder(digest), hexOf(digest))
  }

  /** The folder of a partial. */
  partialOf(digest: Digest): string {
    return join(this.partial, partialName(digest))
  }
}

export function partialName(digest: Digest): string {
  return digest.replace(':', '-')
}

export function digestOfPartial(name: string): Digest | undefined {
  return parseDigest(name.replace('-', ':'))
}

/**
 * Makes the store's folder, or checks that the folder is one. Any other file in it stops the start: the store deletes files,
 * and must never do that in a folder that was named by mistake.
 */
export async function prepareLayout(path: string): Promise<Layout> {
  await makeFolder(resolve(path), 0o700)
  const layout = new Layout(await realpath(path))
  const version = await readVersion(layout.root)
  if (version === undefined) {
    const foreign = (await readdir(layout.root)).filter((name) => !OWN_NAMES.has(name))
    if (foreign.length > 0) {
      throw new Failure(
        'disk',
        `${layout.root} holds files that are not the agent's (${foreign[0]}): choose an empty folder for its data`,
      )
    }
    await writeVersion(layout.root)
  } else if (version > VERSION) {
    throw new Failure(
      'disk',
      `${layout.root} was written by a newer agent (format ${version}, this one knows ${VERSION}): run that one, or choose another folder for the data`,
      { expected: VERSION, found: version },
    )
  }
  for (const folder of [layout.blobs, layout.partial, layout.quarantine, layout.index]) {
    await mkdir(folder, { mode: FOLDER_MODE }).catch(ignore('EEXIST'))
    if (!(await lstat(folder)).isDirectory()) {
      throw new Failure('disk', `${folder} is not a folder: move it away, and the agent creates the folder`)
    }
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK).catch((cause: unknown) => {
      throw new Failure(
        'disk',
        `${folder} cannot be read and written by the agent's user (${errorCode(cause)}): change its permissions, or choose another folder for the data`,
        { cause },
      )
    })
  }
  return layout
}

/** Node's `recursive` would try for ever where no folder can be made, as in /proc. */
async function makeFolder(path: string, mode?: number): Promise<void> {
  const isMade = await mkdir(path, { mode }).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'EEXIST') return true
      if (errorCode(error) === 'ENOENT' && dirname(path) !== path) return false
      throw error
    },
  )
  if (isMade) return
  await makeFolder(dirname(path))
  await mkdir(path, { mode }).catch(ignore('EEXIST'))
}

async function readVersion(root: string): Promise<number | undefined> {
  const text = await readFile(join(root, FORMAT_FILE), 'utf8').catch(ignore('ENOENT'))
  if (text === undefined) return undefined
  try {
    return v.parse(Format, JSON.parse(text)).version
  } catch (cause) {
    throw new Failure(
      'disk',
      `${join(root, FORMAT_FILE)} does not say a version: this is not the agent's folder, or it is damaged`,
      { cause },
    )
  }
}

async function writeVersion(root: string): Promise<void> {
  const draft = await open(join(root, FORMAT_DRAFT_FILE), 'w', FILE_MODE)
  try {
    await draft.writeFile(`${JSON.stringify({ version: VERSION })}\n`)
    await draft.sync()
  } finally {
    await draft.close()
  }
  await rename(join(root, FORMAT_DRAFT_FILE), join(root, FORMAT_FILE))
  await syncFolder(root)
}

/** Makes the names in a folder durable: the fsync of a file does not make its name durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes a handler for `catch` that turns errors with these codes into undefined. */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(errorCode(error) ?? '')) throw error
    return undefined
  }
}

/** Makes the failure that the store reports for an error of the disk. `doing` says what the store could not do. */
export function diskFailure(doing: string, cause: unknown): Failure {
  if (cause instanceof Failure) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new Failure('disk', `${doing}: ${why}`, { cause })
}

/** Gives the size of all files in a folder and its subfolders, in bytes. */
export async function sizeOfFolder(folder: string): Promise<number> {
  const found = await readdir(folder, { withFileTypes: true }).catch(ignore('ENOENT', 'ENOTDIR'))
  let bytes = 0
  for (const entry of found ?? []) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await sizeOfFolder(path)
    // A file may be removed meanwhile.
    else bytes += (await lstat(path).catch(ignore('ENOENT')))?.size ?? 0
  }
  return bytes
}
