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
import { Dice } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import type { News } from './agent/agent-program.ts'
import { Contents, type Item, isHit, judge, NAMESPACE } from './support/content.ts'
import { blobFiles } from './support/data-folder.ts'
import { type Got, pull } from './support/pull.ts'

/** A disk that does not hold what was written to it, under an agent that has stored a few things there. */

let upstream: FaultyUpstream
let spare: AgentChild
let root: string
/** A manifest, small blobs and a large one. */
let items: readonly Item[]
/** The folder of an agent that has stored them all, twice started, so that its index has tables. */
let original: string
let copies = 0

before(async () => {
  upstream = await startFaultyUpstream()
  const contents = new Contents(upstream, new Dice(3))
  items = [...contents.image(3, 100, 60_000), contents.blob(2_000_000, 2_000_000)]
  root = await mkdtemp(join(tmpdir(), 'leat-chaos-'))
  original = join(root, 'original')
  spare = new AgentChild()
  for (const _ of [1, 2]) {
    const agent = await started(original)
    for (const item of items) assert.ok(judge(item, await pull(agent.address, item.path)))
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
  harm: (path: string, size: number) => Promise<void>
}[] = [
  {
    what: 'the log is cut in half',
    files: /\.log$/,
    harm: (path, size) => truncate(path, Math.floor(size / 2)),
  },
  { what: 'the log is empty', files: /\.log$/, harm: (path) => truncate(path, 0) },
  {
    what: 'the manifest is cut in half',
    files: /^MANIFEST-/,
    harm: (path, size) => truncate(path, Math.floor(size / 2)),
  },
  { what: 'the manifest is empty', files: /^MANIFEST-/, harm: (path) => truncate(path, 0) },
  {
    what: 'tables are cut in half',
    files: /\.ldb$/,
    harm: (path, size) => truncate(path, Math.floor(size / 2)),
  },
  { what: 'tables are empty', files: /\.ldb$/, harm: (path) => truncate(path, 0) },
  { what: 'tables are gone', files: /\.ldb$/, harm: (path) => rm(path) },
  { what: 'CURRENT is gone', files: /^CURRENT$/, harm: (path) => rm(path) },
  { what: 'CURRENT is empty', files: /^CURRENT$/, harm: (path) => truncate(path, 0) },
  { what: 'all files have garbage at their end', files: /./, harm: (path) => appendFile(path, 'garbage') },
  {
    what: 'all files are garbage',
    files: /./,
    harm: (path) => writeFile(path, Buffer.alloc(5000, 'garbage')),
  },
  { what: 'all files are gone', files: /./, harm: (path) => rm(path) },
]

describe('when of its index', () => {
  for (const { what, files, harm } of DAMAGES) {
    it(`${what}, an agent still has every blob`, async () => {
      const data = await copy()
      const index = join(data, 'index')
      const victims = (await readdir(index)).filter((name) => files.test(name))
      assert.ok(victims.length > 0, 'there is nothing to harm')
      for (const name of victims) {
        const path = join(index, name)
        await harm(path, (await stat(path)).size)
      }
      const { asked } = await pullAll(data)
      assert.deepEqual(asked, [], 'blobs that were on the disk were fetched again')
    })
  }
})

describe('when its largest blob', () => {
  const harms: { what: string; harm: (path: string) => Promise<unknown> }[] = [
    { what: 'is cut short', harm: (path) => truncate(path, 1_000_000) },
    { what: 'is empty', harm: (path) => truncate(path, 0) },
    { what: 'has grown', harm: (path) => appendFile(path, 'more') },
    { what: 'is gone', harm: (path) => rm(path) },
    {
      what: 'is a folder',
      harm: async (path) => {
        await rm(path)
        await mkdir(path)
      },
    },
    {
      what: 'is a link to another file',
      harm: async (path) => {
        await rename(path, `${path}.elsewhere`)
        await symlink(`${path}.elsewhere`, path)
      },
    },
  ]
  for (const { what, harm } of harms) {
    it(`${what} between two runs, it alone is fetched again`, async () => {
      const data = await copy()
      const victim = items.at(-1) ?? assert.fail()
      await harm((await blobFiles(data)).get(victim.digest) ?? assert.fail())
      const { asked } = await pullAll(data)
      assert.deepEqual(asked, [victim.digest])
      assert.deepEqual((await pullAll(data)).asked, [], 'it was not stored again')
    })

    it(`${what} under a running agent, it alone is fetched again`, async () => {
      const data = await copy()
      const victim = items.at(-1) ?? assert.fail()
      const agent = await started(data)
      assert.ok(isHit(await pull(agent.address, victim.path)))
      await harm((await blobFiles(data)).get(victim.digest) ?? assert.fail())
      const before = upstream.requests.length
      for (const _ of ['cold', 'warm']) {
        const got = await pull(agent.address, victim.path)
        assert.ok(judge(victim, got), `${got.status}`)
      }
      assert.equal(upstream.requests.length, before + 1)
      assert.equal(await agent.stop(), 0)
    })
  }
})

it('an agent that lost its index and its blobs begins anew', async () => {
  const data = await copy()
  for (const folder of ['index', 'blobs', 'partial', 'quarantine'])
    await rm(join(data, folder), { recursive: true })
  const { asked } = await pullAll(data)
  assert.deepEqual(asked.sort(), items.map(({ digest }) => digest).sort())
})

async function copy(): Promise<string> {
  copies += 1
  const data = join(root, `${copies}`)
  await cp(original, data, { recursive: true })
  return data
}

async function started(data: string, news: (news: News) => void = () => {}): Promise<AgentChild> {
  const agent = spare
  spare = new AgentChild()
  const options: AgentOptions = {
    data,
    listen: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
  }
  agent.onNews(news)
  assert.ok(await agent.start(options), agent.said)
  return agent
}

/** Everything by a new agent; what was fetched from upstream meanwhile. By HEAD it is asked whose a blob is, where that is lost. */
async function pullAll(data: string): Promise<{ asked: Digest[]; answers: Got[] }> {
  const agent = await started(data)
  const before = upstream.requests.length
  const answers: Got[] = []
  for (const item of items) {
    const got = await pull(agent.address, item.path)
    assert.ok(judge(item, got), `${item.path}: ${got.status} ${got.body.subarray(0, 200)}`)
    answers.push(got)
  }
  assert.equal(await agent.stop(), 0)
  const fetches = upstream.requests.slice(before).filter(({ method }) => method === 'GET')
  const asked = items.filter(({ digest }) => fetches.some(({ path }) => path.endsWith(digest)))
  return { asked: asked.map(({ digest }) => digest), answers }
}
