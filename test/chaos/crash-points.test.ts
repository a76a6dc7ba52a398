import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { type AgentOptions, createAgent } from '../../src/agent.ts'
import { type Digest, hexOf } from '../../src/oci/digest.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Dice } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, type Item, isHit, judge, NAMESPACE } from './support/content.ts'
import { blobFiles, emptyFolder, hashOf, partialSizes } from './support/data-folder.ts'
import { pull } from './support/pull.ts'

/**
 * The same short pull again and again, killed before each of the steps that it takes towards the disk: between sync and
 * rename, between rename and index, and everywhere else. Nothing is left to chance.
 */

/** Whoever waits for it hears of it after so many. */
const TOLD_EACH = 10

let upstream: FaultyUpstream
let spare: AgentChild
let image: readonly Item[]

before(async () => {
  upstream = await startFaultyUpstream()
  // Two layers: one that stays in memory until it is stored, one that has a partial file.
  const contents = new Contents(upstream, new Dice(5))
  image = [...contents.image(1, 1000, 1000), contents.blob(3_000_000, 3_000_000)]
  spare = new AgentChild()
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

it('killed before any step of a first start and a pull, the next agent goes on from there', {
  timeout: 1_200_000,
}, async (t) => {
  const root = await emptyFolder(t)
  const steps = await stepsOf(join(root, 'all'))
  // What a stored blob stands on, in the order in which it must come.
  for (const name of ['handle.datasync', 'fs.fdatasync', 'files.rename', 'handle.sync', 'index.batch']) {
    assert.ok(steps.includes(name), `${name} is not among ${steps.join(' ')}`)
  }
  const large = image.at(-1)?.digest ?? assert.fail()
  let [resumed, adopted] = [0, 0]
  const survive = async (step: number): Promise<void> => {
    const data = join(root, `${step}`)
    const stored = new Set<Digest>()
    const first = nextAgent()
    first.onNews((news) => news.is === 'stored' && stored.add(news.digest))
    if (await first.start(options(data), { dieBefore: step })) await pullAll(first)
    await first.kill()
    const shelved = new Set((await blobFiles(data).catch(() => new Map<Digest, string>())).keys())
    const left = (await partialSizes(data)).get(large)

    const what = `killed before step ${step}, ${steps[step - 1]}`
    upstream.heal()
    const asked = upstream.requests.length
    // Nobody kills it, so it needs no process of its own.
    const second = createAgent(options(data))
    try {
      await second.start()
      const { port } = second.addresses.registry
      for (const item of image) {
        const got = await pull(`127.0.0.1:${port}`, item.path)
        assert.ok(judge(item, got), `${what}: ${item.path} is ${got.status}`)
        if (stored.has(item.digest)) assert.ok(isHit(got), `${what}: ${item.digest} was stored and is lost`)
        else if (shelved.has(item.digest) && isHit(got)) adopted += 1
      }
    } finally {
      await second.stop({ drainMs: 5000 })
    }
    // Of a file that was taken in nobody knows whose it was, so upstream is asked by HEAD.
    const again = upstream.requests
      .slice(asked)
      .filter(({ method, path }) => method === 'GET' && path.endsWith(large))
    if (left !== undefined) {
      for (const { headers } of again) assert.equal(headers.range, `bytes=${left}-`, what)
      resumed += 1
    }
    const files = await blobFiles(data)
    assert.deepEqual([...files.keys()].sort(), image.map(({ digest }) => digest).sort(), what)
    for (const [digest, file] of files) assert.equal(await hashOf(file), hexOf(digest), what)
    assert.equal((await partialSizes(data)).size, 0, what)
    await rm(data, { recursive: true })
  }
  for (let first = 1; first <= steps.length; first += TOLD_EACH) {
    const last = Math.min(steps.length, first + TOLD_EACH - 1)
    await t.test(`steps ${first} to ${last}`, async () => {
      for (let step = first; step <= last; step++) await survive(step)
    })
  }
  console.log(`${steps.length} steps, ${resumed} gone on with, ${adopted} taken in from the shelves`)
  assert.ok(adopted > 0, 'no file was ever between rename and index')
  assert.ok(resumed > 0, 'no partial file was ever left')
})

function nextAgent(): AgentChild {
  const agent = spare
  spare = new AgentChild()
  return agent
}

/** Every step of a pull that nothing disturbs. */
async function stepsOf(data: string): Promise<string[]> {
  const steps: string[] = []
  const agent = nextAgent()
  agent.onNews((news) => news.is === 'step' && steps.push(news.name))
  await agent.start(options(data), { tellSteps: true })
  await pullAll(agent)
  await agent.stop()
  return steps
}

async function pullAll(agent: AgentChild): Promise<void> {
  for (const item of image) judge(item, await pull(agent.address, item.tagPath ?? item.path))
}

function options(data: string): AgentOptions {
  return {
    data,
    listen: { host: '127.0.0.1', port: 0 },
    patience: { retryPauseMs: 5 },
    upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
  }
}
