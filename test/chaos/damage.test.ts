import assert from 'node:assert/strict'
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { SeededRandom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import type { AgentMessage } from './agent/agent-program.ts'
import { Contents, checkAnswer, type Item, isHit, NAMESPACE } from './support/content.ts'
import { blobFiles } from './support/data-folder.ts'
import { type PullResult, pull } from './support/pull.ts'

/** The files of an agent are damaged, between two runs or while it runs. */

let upstream: FaultyUpstream
let spare: AgentChild
let root: string
/** A manifest, small blobs and a large one. */
let items: readonly Item[]
/** The folder of an agent that has stored all items. It was started twice, so that its index has tables. */
let original: string
let copies = 0

before(async () => {
  upstream = await startFaultyUpstream()
  const contents = new Contents(upstream, new SeededRandom(3))
  items = [...contents.image(3, 100, 60_000), contents.blob(2_000_000, 2_000_000)]
  root = await mkdtemp(join(tmpdir(), 'leat-chaos-'))
  original = join(root, 'original')
  spare = new AgentChild()
  for (const _ of [1, 2]) {
    const agent = await started(original)
    for (const item of items) assert.ok(checkAnswer(item, await pull(agent.address, item.path)))
    assert.equal(await agent.stop(), 0)
  }
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
  await rm(root, { recursive: true })
})

const DAMAGES: readonly {
  what: string
  files: RegExp
  damage: (path: string, size: number) => Promise<void>
}[] = [
  {
    what: 'the log is cut in half',
    files: /\.log$/,
    damage: (path, size) => truncate(path, Math.floor(size / 2)),
  },
  { what: 'the log is empty', files: /\.log$/, damage: (path) => truncate(path, 0) },
  {
    what: 'the manifest is cut in half',
    files: /^MANIFEST-/,
    damage: (path, size) => truncate(path, Math.floor(size / 2)),
  },
  { what: 'the manifest is empty', files: /^MANIFEST-/, damage: (path) => truncate(path, 0) },
  {
    what: 'tables are cut in half',
    files: /\.ldb$/,
    damage: (path, size) => truncate(path, Math.floor(size / 2)),
  },
  { what: 'tables are empty', files: /\.ldb$/, damage: (path) => truncate(path, 0) },
  { what: 'tables are gone', files: /\.ldb$/, damage: (path) => rm(path) },
  { what: 'CURRENT is gone', files: /^CURRENT$/, damage: (path) => rm(path) },
  { what: 'CURRENT is empty', files: /^CURRENT$/, damage: (path) => truncate(path, 0) },
  { what: 'all files have garbage at their end', files: /./, damage: (path) => appendFile(path, 'garbage') },
  {
    what: 'all files are garbage',
    files: /./,
    damage: (path) => writeFile(path, Buffer.alloc(5000, 'garbage')),
  },
  { what: 'all files are gone', files: /./, damage: (path) => rm(path) },
]

describe('when part of the index is damaged, such as that', () => {
  for (const { what, files, damage } of DAMAGES) {
    it(`${what}, an agent still has every blob`, async () => {
      const data = await copy()
      const index = join(data, 'index')
      const damaged = (await readdir(index)).filter((name) => files.test(name))
      assert.ok(damaged.length > 0, 'no file to damage')
      for (const name of damaged) {
        const path = join(index, name)
        await damage(path, (await stat(path)).size)
      }
      const { fetched } = await pullAll(data)
      assert.deepEqual(fetched, [], 'blobs that were on the disk were fetched again')
    })
  }
})

describe('when its largest blob', () => {
  const damages: { what: string; damage: (path: string) => Promise<unknown> }[] = [
    { what: 'is cut short', damage: (path) => truncate(path, 1_000_000) },
    { what: 'is empty', damage: (path) => truncate(path, 0) },
    { what: 'has grown', damage: (path) => appendFile(path, 'more') },
    { what: 'is gone', damage: (path) => rm(path) },
    {
      what: 'is a folder',
      damage: async (path) => {
        await rm(path)
        await mkdir(path)
      },
    },
    {
      what: 'is a link to another file',
      damage: async (path) => {
        await rename(path, `${path}.elsewhere`)
        await symlink(`${path}.elsewhere`, path)
      },
    },
  ]
  for (const { what, damage } of damages) {
    it(`${what} between two runs, only that blob is fetched again`, async () => {
      const data = await copy()
      const blob = items.at(-1) ?? assert.fail()
      await damage((await blobFiles(data)).get(blob.digest) ?? assert.fail())
      const { fetched } = await pullAll(data)
      assert.deepEqual(fetched, [blob.digest])
      assert.deepEqual((await pullAll(data)).fetched, [], 'the blob was not stored again')
    })

    it(`${what} under a running agent, only that blob is fetched again`, async () => {
      const data = await copy()
      const blob = items.at(-1) ?? assert.fail()
      const agent = await started(data)
      assert.ok(isHit(await pull(agent.address, blob.path)))
      await damage((await blobFiles(data)).get(blob.digest) ?? assert.fail())
      const before = upstream.requests.length
      for (const _ of ['cold', 'warm']) {
        const got = await pull(agent.address, blob.path)
        assert.ok(checkAnswer(blob, got), `${got.status}`)
      }
      assert.equal(upstream.requests.length, before + 1)
      assert.equal(await agent.stop(), 0)
    })
  }
})

it('an agent whose index and blobs are gone fetches everything again', async () => {
  const data = await copy()
  for (const folder of ['index', 'blobs', 'partial', 'quarantine'])
    await rm(join(data, folder), { recursive: true })
  const { fetched } = await pullAll(data)
  assert.deepEqual(fetched.sort(), items.map(({ digest }) => digest).sort())
})

async function copy(): Promise<string> {
  copies += 1
  const data = join(root, `${copies}`)
  await cp(original, data, { recursive: true })
  return data
}

async function started(
  data: string,
  onMessage: (message: AgentMessage) => void = () => {},
): Promise<AgentChild> {
  const agent = spare
  spare = new AgentChild()
  const options: AgentOptions = {
    data,
    listen: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
  }
  agent.onMessage(onMessage)
  assert.ok(await agent.start(options), agent.output)
  return agent
}

/** A new agent serves all items. Returns the digests that it fetched; HEAD requests for lost repositories are not counted. */
async function pullAll(data: string): Promise<{ fetched: Digest[]; answers: PullResult[] }> {
  const agent = await started(data)
  const before = upstream.requests.length
  const answers: PullResult[] = []
  for (const item of items) {
    const got = await pull(agent.address, item.path)
    assert.ok(checkAnswer(item, got), `${item.path}: ${got.status} ${got.body.subarray(0, 200)}`)
    answers.push(got)
  }
  assert.equal(await agent.stop(), 0)
  const requests = upstream.requests.slice(before).filter(({ method }) => method === 'GET')
  const fetched = items.filter(({ digest }) => requests.some(({ path }) => path.endsWith(digest)))
  return { fetched: fetched.map(({ digest }) => digest), answers }
}
