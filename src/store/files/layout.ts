import { constants } from 'node:fs'
import { access, lstat, mkdir, open, readdir, readFile, realpath, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { errorCode } from '../../lib/error-code.ts'
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'

/** Version of everything below the store's folder; goes up when an older agent could no longer read it. */
const VERSION = 1
const FORMAT = 'format'
const FORMAT_DRAFT = 'format.new'
/** What a fresh volume may hold without being somebody else's folder. */
const NOT_FOREIGN = new Set([FORMAT, FORMAT_DRAFT, 'identity', 'lost+found'])
const Format = v.object({ version: v.number() })

/** Only the agent writes here; its group may look. Checked content is no secret, but private images are. */
export const FOLDER_MODE = 0o750
export const FILE_MODE = 0o640
/** A symlink where a blob should be is nobody's doing of ours, and could point anywhere. */
export const READ_PLAIN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW

/** Where things are in the store's folder. */
export class Layout {
  readonly root: string
  readonly blobs: string
  readonly partial: string
  readonly quarantine: string
  readonly index: string
  /** Room on the disk, and nothing else. */
  readonly reserve: string

  constructor(root: string) {
    this.root = root
    this.blobs = join(root, 'blobs')
    this.partial = join(root, 'partial')
    this.quarantine = join(root, 'quarantine')
    this.index = join(root, 'index')
    this.reserve = join(root, 'reserve')
  }

  /** The folder of a blob. Blobs are spread over 256 of them for each algorithm. */
  shelf(digest: Digest): string {
    return join(this.blobs, algorithmOf(digest), hexOf(digest).slice(0, 2))
  }

  blob(digest: Digest): string {
    return join(this.shelf(digest), hexOf(digest))
  }

  /** The folder of a blob on its way in. */
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
 * Makes the store's folder, or makes sure that it is one. Whatever else is found there stops the start: the store
 * deletes files, and must never do that in a folder that was named by mistake.
 */
export async function prepareLayout(path: string): Promise<Layout> {
  await makeFolder(resolve(path), 0o700)
  const layout = new Layout(await realpath(path))
  const version = await readVersion(layout.root)
  if (version === undefined) {
    const foreign = (await readdir(layout.root)).filter((name) => !NOT_FOREIGN.has(name))
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
      throw new Failure('disk', `${folder} is not a folder: move it away, the agent makes its own`)
    }
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK).catch((cause: unknown) => {
      throw new Failure(
        'disk',
        `${folder} cannot be read and written by the agent's user (${errorCode(cause)}): change that, or choose another folder for the data`,
        { cause },
      )
    })
  }
  return layout
}

/** Not `recursive`: where nothing can be made, as in /proc, Node tries that for ever. */
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
  const text = await readFile(join(root, FORMAT), 'utf8').catch(ignore('ENOENT'))
  if (text === undefined) return undefined
  try {
    return v.parse(Format, JSON.parse(text)).version
  } catch (cause) {
    throw new Failure(
      'disk',
      `${join(root, FORMAT)} does not say a version: this is not the agent's folder, or it is damaged`,
      { cause },
    )
  }
}

async function writeVersion(root: string): Promise<void> {
  const draft = await open(join(root, FORMAT_DRAFT), 'w', FILE_MODE)
  try {
    await draft.writeFile(`${JSON.stringify({ version: VERSION })}\n`)
    await draft.sync()
  } finally {
    await draft.close()
  }
  await rename(join(root, FORMAT_DRAFT), join(root, FORMAT))
  await syncFolder(root)
}

/** Makes names in a folder durable: a file's own fsync says nothing about its name. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** For `catch`: the named errors of the file system are no failure here. */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(errorCode(error) ?? '')) throw error
    return undefined
  }
}

/** An error of the disk, in the words of the rooms above. */
export function diskFailure(doing: string, cause: unknown): Failure {
  if (cause instanceof Failure) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new Failure('disk', `${doing}: ${why}`, { cause })
}

/** Of all files in a folder and the folders in it. */
export async function bytesIn(folder: string): Promise<number> {
  const found = await readdir(folder, { withFileTypes: true }).catch(ignore('ENOENT', 'ENOTDIR'))
  let bytes = 0
  for (const entry of found ?? []) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await bytesIn(path)
    // Gone meanwhile is nothing.
    else bytes += (await lstat(path).catch(ignore('ENOENT')))?.size ?? 0
  }
  return bytes
}
