import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { plain, sizeText } from '../../observe/text.ts'
import { type Finding, notLookedAt, ok, problem, warning } from '../tools/finding.ts'
import type { Patient } from '../tools/node-settings.ts'
import type { AgentSeen } from './agent.ts'

/** Below this share of a filesystem that is free, or of its inodes, it is nearly full. */
const NEARLY_FULL = 0.05
/** With less than that nothing can be kept. */
const LEAST_FREE = 64 * 1024 * 1024
const LEAST_INODES = 1000

export interface Space {
  readonly total: number
  readonly free: number
  /** Zero where the filesystem does not count them. */
  readonly inodes: number
  readonly freeInodes: number
}

export type FolderSeen =
  | { readonly kind: 'folder'; readonly access: 'writable' | 'read-only' | 'unknown'; readonly space: Space }
  | { readonly kind: 'file' | 'absent' | 'hidden' }

/** The agent's own word for it counts; that may be relative to where it was started, which nobody else knows. */
export function dataFolder(agent: AgentSeen, { data }: Pick<Patient, 'data'>): string {
  return agent.kind === 'agent' && isAbsolute(agent.status.data) ? agent.status.data : resolve(data)
}

export async function seeFolder(path: string): Promise<FolderSeen> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) return { kind: 'file' }
    const { blocks, bavail, bsize, files, ffree } = await statfs(path)
    const space = { total: blocks * bsize, free: bavail * bsize, inodes: files, freeInodes: ffree }
    return { kind: 'folder', access: await accessTo(path), space }
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' }
    if (code === 'EACCES' || code === 'EPERM') return { kind: 'hidden' }
    throw error
  }
}

/** A filesystem that is mounted read-only refuses everybody; other refusals are for whoever looks. */
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
  readonly agent: AgentSeen
  readonly maxBytes: Patient['maxBytes']
}

export function judgeData(seen: FolderSeen, { path, agent, maxBytes }: DataContext): readonly Finding[] {
  const where = plain(path)
  switch (seen.kind) {
    case 'absent':
      return [absent(where, agent)]
    case 'hidden':
      return [notLookedAt(`${where} is closed to this user`, 'run it as root, or as the agent’s user')]
    case 'file':
      return [
        problem(`${where} is not a folder`, {
          means: 'the agent cannot start with it',
          todo: 'give --data a folder',
        }),
      ]
    case 'folder':
      return [
        accessFinding(seen.access, where, agent),
        ...spaceFindings(seen.space, { where, agent, maxBytes }),
      ]
  }
}

function absent(where: string, agent: AgentSeen): Finding {
  if (agent.kind === 'agent') {
    return notLookedAt(
      `${where} is not there, but the agent runs, and keeps what it has in ${plain(agent.status.data)} as it sees it`,
      'give --data the folder as it is seen from here',
    )
  }
  return notLookedAt(`${where} is not there yet; agent serve makes it`)
}

function accessFinding(
  found: 'writable' | 'read-only' | 'unknown',
  where: string,
  agent: AgentSeen,
): Finding {
  if (found === 'read-only') {
    return problem(`${where} is on a filesystem that is mounted read-only`, {
      means: 'nothing can be kept; what is here already may still be served',
      todo: 'see why (dmesg; after errors of the disk it is mounted so), mount it writable, restart the agent',
    })
  }
  if (found === 'unknown') {
    return notLookedAt(
      `whether ${where} can be written is for the agent’s user to see`,
      'run it as root, or as the agent’s user',
    )
  }
  const whose = agent.kind === 'agent' ? 'the agent keeps what it has in' : 'there is a data folder,'
  return ok(`${whose} ${where}, which can be written`)
}

function spaceFindings(
  { total, free, inodes, freeInodes }: Space,
  { where, agent, maxBytes }: { where: string; agent: AgentSeen; maxBytes: Patient['maxBytes'] },
): readonly Finding[] {
  const room = `${sizeText(free)} of ${sizeText(total)} are free at ${where}`
  // Zero of zero where they are not counted.
  const few = freeInodes < inodes * NEARLY_FULL
  const full = {
    means: 'little can be kept: what does not fit is passed on to clients without being stored',
    todo: 'make room on that filesystem, or lower --max-bytes; agent gc --to SIZE evicts now',
  }
  if (free < LEAST_FREE) return [problem(`the disk is full: ${room}`, full)]
  if (few && freeInodes < LEAST_INODES)
    return [problem(`the filesystem of ${where} has no inodes left`, full)]
  const findings: Finding[] = []
  if (free < total * NEARLY_FULL) findings.push(warning(`the disk is nearly full: ${room}`, full))
  if (few) findings.push(warning(`the filesystem of ${where} has few inodes left (${freeInodes})`, full))
  const told = agent.kind === 'agent' ? agent.status.store : undefined
  const limit = told?.limitBytes ?? ('bytes' in maxBytes ? maxBytes.bytes : (total * maxBytes.percent) / 100)
  const kept = told?.bytes ?? 0
  // A share is an upper bound that suits every node; an amount was meant to be there.
  if (told !== undefined && 'bytes' in maxBytes && limit - kept > free) {
    findings.push(
      warning(`the store may grow to ${sizeText(limit)}, but only ${room}`, {
        means: 'it evicts when the disk is full, before it has what --max-bytes promises',
        todo: `set --max-bytes to less than ${sizeText(kept + free)}, or give the data folder a filesystem of its own`,
      }),
    )
  }
  return findings.length > 0 ? findings : [ok(`${room}; the store may hold up to ${sizeText(limit)}`)]
}
