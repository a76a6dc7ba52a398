import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { bytesOfLimit } from '../../lib/disk-limit.ts'
import { errorCode } from '../../lib/error-code.ts'
import { plain, sizeText } from '../../observe/text.ts'
import { AS_ROOT, type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'
import type { NodeSettings } from '../tools/node-settings.ts'
import type { AgentAnswer } from './agent.ts'

/** A filesystem is nearly full if a smaller share of its space, or of its inodes, is free. */
const NEARLY_FULL = 0.05
/** With less free space, nothing can be stored. */
const MIN_FREE_BYTES = 64 * 1024 * 1024
const MIN_FREE_INODES = 1000

export interface Space {
  readonly total: number
  readonly free: number
  /** Zero if the filesystem does not count inodes. */
  readonly inodes: number
  readonly freeInodes: number
}

export type FolderState =
  | { readonly kind: 'folder'; readonly access: 'writable' | 'read-only' | 'unknown'; readonly space: Space }
  | { readonly kind: 'file' | 'absent' | 'inaccessible' }

/** The folder that the agent reports. A relative path is relative to where the agent was started, which is unknown. */
export function dataFolder(agent: AgentAnswer, { data }: Pick<NodeSettings, 'data'>): string {
  return agent.kind === 'agent' && isAbsolute(agent.status.data) ? agent.status.data : resolve(data)
}

export async function inspectFolder(path: string): Promise<FolderState> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) return { kind: 'file' }
    const { blocks, bavail, bsize, files, ffree } = await statfs(path)
    const space = { total: blocks * bsize, free: bavail * bsize, inodes: files, freeInodes: ffree }
    return { kind: 'folder', access: await accessTo(path), space }
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' }
    if (code === 'EACCES' || code === 'EPERM') return { kind: 'inaccessible' }
    throw error
  }
}

/** A read-only filesystem refuses every user; other refusals concern only the user who runs the doctor. */
async function accessTo(path: string): Promise<'writable' | 'read-only' | 'unknown'> {
  try {
    await access(path, constants.W_OK | constants.X_OK)
    return 'writable'
  } catch (error) {
    return errorCode(error) === 'EROFS' ? 'read-only' : 'unknown'
  }
}

export interface DataContext {
  readonly path: string
  readonly agent: AgentAnswer
  readonly maxBytes: NodeSettings['maxBytes']
}

export function judgeData(folder: FolderState, { path, agent, maxBytes }: DataContext): readonly Finding[] {
  const where = plain(path)
  switch (folder.kind) {
    case 'absent':
      return [judgeAbsence(where, agent)]
    case 'inaccessible':
      return [notChecked('data-inaccessible', `this user may not access ${where}`, AS_ROOT)]
    case 'file':
      return [
        problem('data-no-folder', `${where} is not a folder`, {
          means: 'the agent cannot start with it',
          todo: 'set --data to a folder',
        }),
      ]
    case 'folder':
      return [judgeAccess(folder.access, where), ...judgeSpace(folder.space, { where, agent, maxBytes })]
  }
}

function judgeAbsence(where: string, agent: AgentAnswer): Finding {
  if (agent.kind === 'agent') {
    return notChecked(
      'data-unknown',
      `${where} does not exist, but the agent runs, and reports ${plain(agent.status.data)} as its data folder`,
      'set --data to the path of that folder on this machine',
    )
  }
  return notChecked('data-absent', `${where} does not exist yet; agent serve creates it`)
}

function judgeAccess(found: 'writable' | 'read-only' | 'unknown', where: string): Finding {
  if (found === 'read-only') {
    return problem('data-read-only', `${where} is on a read-only filesystem`, {
      means: 'nothing can be stored; stored content may still be served',
      todo: 'find the reason (dmesg; disk errors make the kernel remount a filesystem read-only), mount it writable, restart the agent',
    })
  }
  if (found === 'unknown') {
    return notChecked(
      'data-unknown',
      `this user cannot tell whether the agent can write to ${where}`,
      AS_ROOT,
    )
  }
  return ok('data-writable', `the data folder ${where} is writable`)
}

function judgeSpace(
  { total, free, inodes, freeInodes }: Space,
  { where, agent, maxBytes }: { where: string; agent: AgentAnswer; maxBytes: NodeSettings['maxBytes'] },
): readonly Finding[] {
  const room = `${sizeText(free)} of ${sizeText(total)} are free at ${where}`
  // Where inodes are not counted, zero of zero are free.
  const hasFewInodes = freeInodes < inodes * NEARLY_FULL
  const advice = {
    means: 'little can be stored: content that does not fit is sent to clients without being stored',
    todo: 'free space on that filesystem, or lower --max-bytes; agent gc --to SIZE evicts now',
  }
  if (free < MIN_FREE_BYTES) return [problem('disk-full', `the disk is full: ${room}`, advice)]
  if (hasFewInodes && freeInodes < MIN_FREE_INODES)
    return [problem('disk-no-inodes', `the filesystem of ${where} has no inodes left`, advice)]
  const findings: Finding[] = []
  if (free < total * NEARLY_FULL)
    findings.push(warning('disk-nearly-full', `the disk is nearly full: ${room}`, advice))
  if (hasFewInodes)
    findings.push(
      warning('disk-few-inodes', `the filesystem of ${where} has few inodes left (${freeInodes})`, advice),
    )
  const store = agent.kind === 'agent' ? agent.status.store : undefined
  const limit = store?.limitBytes ?? bytesOfLimit(maxBytes, total)
  const stored = store?.bytes ?? 0
  // A share is an upper bound for every kind of node. An amount is expected to be available.
  if (store !== undefined && 'bytes' in maxBytes && limit - stored > free) {
    findings.push(
      warning('disk-limit-too-large', `the store may grow to ${sizeText(limit)}, but only ${room}`, {
        means: 'the disk becomes full, and the store evicts content, before it has reached --max-bytes',
        todo: `set --max-bytes to less than ${sizeText(stored + free)}, or put the data folder on a filesystem of its own`,
      }),
    )
  }
  return findings.length > 0
    ? findings
    : [ok('disk-has-room', `${room}; the store may hold up to ${sizeText(limit)}`)]
}
