import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Whose they are is in their names, so that those of a run that was killed can be told from those of one that lives. */
const FAMILY = 'leat-lab'
const open = new Set<Namespaces>()
let opened = 0
let watching = false

/**
 * Network namespaces that are gone, with every process in them, when this process ends: at the end of a test, by
 * SIGINT, by an error that nobody has caught. What a SIGKILL has left behind is removed by the next one that is made.
 */
export class Namespaces {
  readonly #prefix = `${FAMILY}.${process.pid}.${startOf(process.pid)}.${opened++}`
  readonly #names = new Set<string>()

  constructor() {
    watch()
    sweep()
    open.add(this)
  }

  /** Its full name. Nothing of it can be reached from the machine's own network, nor the other way round. */
  add(label: string): string {
    const name = `${this.#prefix}.${label}`
    this.#names.add(name)
    ip(['netns', 'add', name])
    configure(name, ['link set lo up'])
    // Not what the machine prefers for itself: Reno is in every kernel, and holds a rate also when both directions are full.
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

/** Whether this process may make one; the reason if not. */
export function namespacesRefused(): string | undefined {
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

/** Those of a run that has ended without a chance to remove them. */
export function sweep(): void {
  for (const name of namesOf(FAMILY)) {
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

/** Lines as `ip` would take them after its name, carried out in the namespace, all at once. */
export function configure(namespace: string, lines: readonly string[]): void {
  ip(['-n', namespace, '-batch', '-'], lines.join('\n'))
}

/** `tc` in the namespace. */
export function shape(namespace: string, args: string): void {
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
        // It has ended meanwhile.
      }
    }
    ip(['netns', 'delete', name])
  } catch {
    // Somebody else has removed it, or it never came to be.
  }
}

/** When a process was started, in ticks since the machine was; undefined when there is none of that number. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function watch(): void {
  if (watching) return
  watching = true
  process.on('exit', () => {
    for (const namespaces of open) namespaces.close()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
}
