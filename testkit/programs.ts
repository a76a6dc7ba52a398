import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** The Debian package of each program that tests use. */
const PACKAGES: Record<string, string> = {
  bash: 'bash',
  caddy: 'caddy',
  chromium: 'chromium',
  containerd: 'containerd',
  ctr: 'containerd',
  curl: 'curl',
  docker: 'docker.io',
  'docker-registry': 'docker-registry',
  dockerd: 'docker.io',
  dpkg: 'dpkg',
  'dpkg-deb': 'dpkg',
  etcd: 'etcd-server',
  fish: 'fish',
  git: 'git',
  groff: 'groff-base',
  ip: 'iproute2',
  mount: 'mount',
  nginx: 'nginx-light',
  openssl: 'openssl',
  npm: 'npm',
  nsenter: 'util-linux',
  pkill: 'procps',
  podman: 'podman',
  promtool: 'prometheus',
  runc: 'runc',
  setpriv: 'util-linux',
  skopeo: 'skopeo',
  tc: 'iproute2',
  tar: 'tar',
  tini: 'tini',
  tmux: 'tmux',
  unshare: 'util-linux',
  useradd: 'passwd',
  wget: 'wget',
  zsh: 'zsh',
}

/** Folders of daemons, which the PATH of an ordinary user does not have. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** `also` are more folders to search. */
export function findProgram(name: string, also: readonly string[] = MORE_FOLDERS): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...also]) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // The program is not in this folder.
    }
  }
  return undefined
}

/**
 * The paths of programs that a test requires. Undefined when one is missing: the test is then skipped with the reason, or
 * has failed where all programs are required (`npm test -- --require-all`).
 */
export function requirePrograms<Name extends string>(
  t: TestContext,
  names: readonly Name[],
): Record<Name, string> | undefined {
  const found: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const path = findProgram(name)
    if (path === undefined) {
      const from = PACKAGES[name]
      skipTest(t, `missing: ${name}${from === undefined ? '' : ` (Debian package ${from})`}`)
      return undefined
    }
    found[name] = path
  }
  return found as Record<Name, string>
}

/** Whether the test runs as root, which daemons need that mount and make namespaces. If not, it is skipped or has failed. */
export function requireRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true
  skipTest(t, 'missing: root, which this client needs to unpack images')
  return false
}

export function skipTest(t: TestContext, reason: string): void {
  if (process.env['LEAT_REQUIRE_CLIENTS'] === '1') throw new Error(`${reason}, and every client is required`)
  t.skip(reason)
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly env?: Record<string, string | undefined>
  readonly cwd?: string
  readonly deadlineMs?: number
  /** What the program reads from its standard input. */
  readonly input?: string
}

/** Runs a program to its end. Throws with its output when it fails or takes longer than `deadlineMs`. */
export async function run(path: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const ended = await tryRun(path, args, options)
  if (ended.code === 0) return ended
  throw new Error(`${[path, ...args].join(' ')}\nexit code ${ended.code}\n${ended.stdout}${ended.stderr}`)
}

/** Runs a program to its end, like `run`, but does not throw when it fails. */
export async function tryRun(
  path: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const child = spawn(path, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // A program that does not read its input closes the pipe.
  child.stdin.on('error', () => undefined).end(options.input ?? '')
  // The `timeout` option of `spawn` keeps this process alive if the program does not exist.
  const late = setTimeout(() => {
    child.kill('SIGKILL')
    // Its own child processes may keep the pipes open.
    child.stdout.destroy()
    child.stderr.destroy()
  }, options.deadlineMs ?? 120_000)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout, stderr }))
    })
  } finally {
    clearTimeout(late)
  }
}
