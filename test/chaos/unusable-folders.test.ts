import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run, skipTest } from '../../testkit/programs.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { SeededRandom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, checkAnswer, type Item, isHit, NAMESPACE } from './support/content.ts'
import { listing } from './support/data-folder.ts'
import { pull } from './support/pull.ts'

/**
 * Folders in which an agent must not or cannot store its data: it prints one sentence, exits with 1, and changes nothing.
 */

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
/** Only an agent that starts although it must not takes so long. */
const HUNG_MS = 120_000
const NOBODY = 65534
const NOT_ALLOWED = /permission denied|EACCES/i
const SENTENCE = /^agent: [^\n]+\n$/
const ANY_PORT = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--log-level', 'silent']

let upstream: FaultyUpstream
let root: string
/** The data of an agent that has stored the image. */
let original: string
let image: readonly Item[]
let copies = 0

before(async () => {
  upstream = await startFaultyUpstream()
  image = new Contents(upstream, new SeededRandom(6)).image(2, 1000, 200_000)
  root = await mkdtemp(join(tmpdir(), 'leat-chaos-'))
  // Other users may enter the folders below it.
  await chmod(root, 0o711)
  original = join(root, 'original')
  const agent = await started(original)
  for (const item of image) assert.ok(checkAnswer(item, await pull(agent.address, item.path)))
  assert.equal(await agent.stop(), 0)
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
  await rm(root, { recursive: true })
})

describe('an agent does not start on, and does not change', () => {
  const folders: { what: string; make: (data: string) => Promise<unknown>; sentence: RegExp }[] = [
    {
      what: 'a folder with other files',
      make: async (data) => {
        await mkdir(join(data, 'photos'), { recursive: true })
        await writeFile(join(data, 'photos', 'cat.jpg'), 'meow')
        await writeFile(join(data, 'notes.txt'), 'mine')
      },
      sentence: /holds files that are not the agent's \((notes\.txt|photos)\): choose an empty folder/,
    },
    {
      what: 'a folder of another program with the same names',
      make: async (data) => {
        await mkdir(join(data, 'blobs', 'sha256'), { recursive: true })
        await writeFile(join(data, 'blobs', 'sha256', 'a'.repeat(64)), 'an OCI layout')
        await writeFile(join(data, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
        await writeFile(join(data, 'index.json'), '{}')
      },
      sentence: /holds files that are not the agent's/,
    },
    {
      what: 'the data of a newer agent',
      make: async (data) => {
        await cp(original, data, { recursive: true })
        await writeFile(join(data, 'format'), '{"version":99}\n')
      },
      sentence:
        /was written by a newer agent \(format 99, this one knows 1\): run that one, or choose another/,
    },
    {
      what: 'data whose format is damaged',
      make: async (data) => {
        await cp(original, data, { recursive: true })
        await writeFile(join(data, 'format'), '\0\0\0')
      },
      sentence: /format does not say a version/,
    },
    {
      what: 'data in which a folder was replaced by a file',
      make: async (data) => {
        await cp(original, data, { recursive: true })
        await rm(join(data, 'partial'), { recursive: true })
        await writeFile(join(data, 'partial'), 'in the way')
      },
      sentence: /partial is not a folder: move it away/,
    },
    {
      what: 'data in which a folder was replaced by a link',
      make: async (data) => {
        await cp(original, data, { recursive: true })
        await rm(join(data, 'quarantine'), { recursive: true })
        await mkdir(join(data, '..', 'elsewhere'), { recursive: true })
        await symlink(join(data, '..', 'elsewhere'), join(data, 'quarantine'))
      },
      sentence: /quarantine is not a folder: move it away/,
    },
  ]
  for (const { what, make, sentence } of folders) {
    it(what, async () => {
      const data = await newFolder()
      await make(data)
      await assertRefused(data, sentence)
    })
  }

  it('a file instead of a folder', async () => {
    const data = await newFolder()
    await writeFile(data, 'a file')
    const { code, stderr } = await runUntilEnd(data)
    assert.deepEqual([code, SENTENCE.test(stderr)], [1, true], stderr)
    assert.ok(stderr.includes(data), stderr)
  })
})

describe('an agent without the right to write', () => {
  it('to a folder of another user prints an error', async (t) => {
    if (!isRoot(t)) return
    const data = await newFolder()
    await cp(original, data, { recursive: true })
    await assertRefused(data, NOT_ALLOWED, { uid: NOBODY })
  })

  it('to a part of its folder prints an error', async (t) => {
    if (!isRoot(t)) return
    for (const part of ['blobs', 'partial', 'quarantine', 'index']) {
      const data = await newFolder()
      await cp(original, data, { recursive: true })
      await changeOwner(data, NOBODY)
      await chown(join(data, part), 0, 0)
      await chmod(join(data, part), 0o700)
      await assertRefused(data, NOT_ALLOWED, { uid: NOBODY })
    }
  })

  it('to the parent of its folder prints an error', async (t) => {
    if (!isRoot(t)) return
    await assertRefused(join(await newFolder(), 'deep', 'down'), NOT_ALLOWED, { uid: NOBODY })
  })

  it('to a read-only filesystem prints an error', async (t) => {
    if (!isRoot(t)) return
    const data = await newFolder()
    await cp(original, data, { recursive: true })
    try {
      await run('mount', ['--bind', data, data])
    } catch (error) {
      skipTest(
        t,
        `missing: the right to mount (${error instanceof Error ? error.message.split('\n')[2] : error})`,
      )
      return
    }
    try {
      await run('mount', ['-o', 'remount,bind,ro', data])
      await assertRefused(data, /EROFS|read-only/i)
    } finally {
      await run('umount', [data])
    }
  })
})

it('other files that are added later are not changed and do not disturb the agent', async () => {
  const data = await newFolder()
  await cp(original, data, { recursive: true })
  const others = [
    'notes.txt',
    'blobs/notes.txt',
    'blobs/sha256/00/notes',
    'partial/notes',
    'quarantine/notes',
  ]
  for (const name of others) {
    await mkdir(join(data, name, '..'), { recursive: true })
    await writeFile(join(data, name), 'mine')
  }
  const before = await listing(data)
  const agent = await started(data)
  for (const item of image) assert.ok(isHit(await pull(agent.address, item.path)))
  assert.equal(await agent.stop(), 0)
  const now = await listing(data)
  for (const name of others) assert.equal(now.get(name), before.get(name), name)
})

it('a second agent on one folder refuses, and the first serves on', async () => {
  const data = await newFolder()
  await cp(original, data, { recursive: true })
  const first = await started(data)
  for (const _ of [1, 2, 3]) {
    const { code, stderr } = await runUntilEnd(data)
    assert.equal(code, 1)
    assert.match(stderr, SENTENCE)
    assert.match(stderr, /is in use by another agent: stop that one, or give this one another folder/)
    for (const item of image) {
      const got = await pull(first.address, item.path)
      assert.ok(checkAnswer(item, got) && isHit(got))
    }
  }
  const fresh = new Contents(upstream, new SeededRandom(7)).blob(300_000, 300_000)
  assert.ok(checkAnswer(fresh, await pull(first.address, fresh.path)))
  assert.equal(await first.stop(), 0)
})

async function newFolder(): Promise<string> {
  copies += 1
  await mkdir(join(root, `${copies}`), { mode: 0o755 })
  return join(root, `${copies}`, 'data')
}

async function started(data: string): Promise<AgentChild> {
  const agent = new AgentChild()
  const upstreams = { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] }
  await agent.start({ data, listen: { host: '127.0.0.1', port: 0 }, upstreams })
  return agent
}

interface User {
  readonly uid?: number | undefined
}

/** The user may read everything, because the checkout may be in a folder that only its owner may enter. */
function asUser(uid: number): string[] {
  const capability = '+dac_read_search'
  return [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
  ]
}

/** Runs an agent until it ends by itself. */
async function runUntilEnd(
  data: string,
  { uid }: User = {},
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const [program = '', ...args] = [...(uid === undefined ? [] : asUser(uid)), process.execPath, MAIN]
  const child = spawn(program, [...args, 'serve', ...ANY_PORT, '--data', data], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: HUNG_MS,
    killSignal: 'SIGKILL',
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  return { code, stderr }
}

async function assertRefused(data: string, sentence: RegExp, { uid }: User = {}): Promise<void> {
  const before = await listing(root)
  const { code, stderr: err } = await runUntilEnd(data, { uid })
  assert.match(err, SENTENCE)
  assert.match(err, sentence)
  assert.ok(!/this should not have happened/.test(err), err)
  assert.equal(code, 1)
  assert.deepEqual(await listing(root), before, 'a file was changed')
}

async function changeOwner(path: string, uid: number): Promise<void> {
  await chown(path, uid, uid)
  for (const name of (await listing(path)).keys()) await chown(join(path, name), uid, uid)
}

function isRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true
  skipTest(t, 'missing: root, to run an agent as another user')
  return false
}
