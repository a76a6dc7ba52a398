import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './program.ts'
import { median } from './stats.ts'

const TMPFS = 0x01021994

/** The MB/s of SHA-256 on one core with Node's OpenSSL, which limits how fast content can be verified. */
export function sha256Rate(forMs = 250): number {
  const block = Buffer.alloc(1 << 20, 0x5a)
  const hash = createHash('sha256')
  const start = performance.now()
  let bytes = 0
  while (performance.now() - start < forMs) {
    hash.update(block)
    bytes += block.length
  }
  return bytes / 1000 / (performance.now() - start)
}

/** How long an fsync of 4 MiB takes on the file system under `folder`, in milliseconds. */
function fsyncMs(folder: string): number {
  const path = join(folder, `.bench-fsync-${process.pid}`)
  const block = Buffer.alloc(4 << 20, 0x5a)
  const times: number[] = []
  const file = openSync(path, 'wx')
  try {
    for (let round = 0; round < 9; round++) {
      const start = performance.now()
      writeSync(file, block)
      fsyncSync(file)
      times.push(performance.now() - start)
    }
  } finally {
    closeSync(file)
    rmSync(path, { force: true })
  }
  return median(times)
}

function version(program: string, args: readonly string[]): string {
  const path = findProgram(program)
  if (path === undefined) return `${program}: not installed`
  try {
    const output = execFileSync('sh', ['-c', `"$0" ${args.join(' ')} 2>&1 | head -1`, path], {
      encoding: 'utf8',
    })
    return output.trim().slice(0, 80)
  } catch {
    return `${program}: version unknown`
  }
}

export interface MachineFacts {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly load: readonly number[]
  readonly node: string
  readonly sha256MBps: number
  readonly folder: string
  readonly folderIsTmpfs: boolean
  readonly freeBytes: number
  readonly disk: { readonly folder: string; readonly fsync4MiBms: number }
  readonly programs: readonly string[]
}

export function machine(folder: string, disk: string): MachineFacts {
  const files = statfsSync(folder)
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg().map((value) => Math.round(value * 100) / 100),
    node: process.version,
    sha256MBps: Math.round(median([sha256Rate(), sha256Rate(), sha256Rate()])),
    folder,
    folderIsTmpfs: files.type === TMPFS,
    freeBytes: files.bavail * files.bsize,
    disk: { folder: disk, fsync4MiBms: Math.round(fsyncMs(disk) * 100) / 100 },
    programs: [
      version('nginx', ['-v']),
      version('docker-registry', ['--version']),
      version('curl', ['--version']),
    ],
  }
}

export function printMachine(facts: MachineFacts): string {
  const kind = facts.folderIsTmpfs ? 'tmpfs' : 'disk'
  return `${[
    `machine   ${facts.cores} cores, ${facts.cpu}, ${facts.memoryGiB} GiB; load ${facts.load.join(' ')}`,
    `sha-256   ${facts.sha256MBps} MB/s on one core`,
    `node      ${facts.node}`,
    `rivals    ${facts.programs.join(' | ')}`,
    `data      ${facts.folder} (${kind}, ${Math.round(facts.freeBytes / 2 ** 30)} GiB free)`,
    `disk      ${facts.disk.folder}: 4 MiB written and fsynced in ${facts.disk.fsync4MiBms} ms, for context`,
  ].join('\n')}\n`
}
