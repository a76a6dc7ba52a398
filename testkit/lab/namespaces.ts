import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The names also hold the pid and the start of the process, so that namespaces of a killed process can be recognized. */
const PREFIX = 'leat-lab'
const open = new Set<Namespaces>()
let opened = 0
let hasExitHandlers = false

/**
 * Network namespaces that are removed, with every process in them, when this process ends: normally, by a signal or by
 * an uncaught error. Namespaces that a SIGKILL has left are removed when the next ones are made.
 */
export class Namespaces {
  readonly #prefix = `${PREFIX}.${process.pid}.${startOf(process.pid)}.${opened++}`
  readonly #names = new Set<string>()

  constructor() {
    addExitHandlers()
    removeLeftovers()
    open.add(this)
  }

  /** Makes a namespace, which has no connection to the network of the real machine, and returns its full name. */
  add(label: string): string {
    const name = `${this.#prefix}.${label}`
    this.#names.add(name)
    ip(['netns', 'add', name])
    configure(name, ['link set lo up'])
    // Reno is in every kernel, and unlike some defaults it keeps to a rate when both directions are full.
    execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', SYSCTLS], { stdio: 'pipe' })
    return name
  }

  close(): void {
    open.delete(this)
    for (const name of this.#names) remove(name)
    this.#names.clear()
  }
}

const SYSCTLS = [
  'echo reno > /proc/sys/net/ipv4/tcp_congestion_control',
  'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6',
  'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6',
  'true',
].join(' 2> /dev/null; ')

/** Why this process cannot make a network namespace; undefined if it can. */
export function missingNamespaceRight(): string | undefined {
  const namespaces = new Namespaces()
  try {
    namespaces.add('trial')
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[1] ?? error.message).trim() : String(error)
  } finally {
    namespaces.close()
  }
}

/** Removes the namespaces of processes that were killed. */
export function removeLeftovers(): void {
  for (const name of namesOf(PREFIX)) {
    const [, pid = '', start = ''] = name.split('.')
    if (startOf(Number(pid)) !== start) remove(name)
  }
}

export function namesOf(prefix: string): string[] {
  return ip(['netns', 'list'])
    .split('\n')
    .map((line) => line.split(' ', 1)[0] ?? '')
    .filter((name) => name.startsWith(`${prefix}.`))
}

/** Runs the arguments of several `ip` commands, one per line, in the namespace. */
export function configure(namespace: string, lines: readonly string[]): void {
  ip(['-n', namespace, '-batch', '-'], lines.join('\n'))
}

/** Runs `tc` in the namespace. */
export function tc(namespace: string, args: string): void {
  execFileSync('tc', ['-n', namespace, ...args.split(' ')], { stdio: 'pipe' })
}

export function ip(args: readonly string[], input?: string): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe', input: input ?? '' })
}

function remove(name: string): void {
  try {
    for (const pid of ip(['netns', 'pids', name]).split('\n').filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL')
      } catch {
        // The process has ended meanwhile.
      }
    }
    ip(['netns', 'delete', name])
  } catch {
    // The namespace was removed by another process, or its creation failed.
  }
}

/** When a process was started, in ticks since the boot; undefined when there is no process with this pid. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function addExitHandlers(): void {
  if (hasExitHandlers) return
  hasExitHandlers = true
  process.on('exit', () => {
    for (const namespaces of open) namespaces.close()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
}
