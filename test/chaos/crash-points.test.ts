import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { type AgentOptions, createAgent } from '../../src/agent.ts'
import { type Digest, hexOf } from '../../src/oci/digest.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { SeededRandom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, checkAnswer, type Item, isHit, NAMESPACE } from './support/content.ts'
import { blobFiles, emptyFolder, hashOf, partialSizes } from './support/data-folder.ts'
import { pull } from './support/pull.ts'

/**
 * The same short pull is repeated, and the agent is killed before each of its disk steps: between sync and rename, between
 * rename and index, and so on.
 */

/** How many steps are one subtest, so that the progress is visible. */
const STEPS_PER_TEST = 10

let upstream: FaultyUpstream
let spare: AgentChild
let image: readonly Item[]

before(async () => {
  upstream = await startFaultyUpstream()
  // One blob stays in memory until it is stored, and one has a partial file.
  const contents = new Contents(upstream, new SeededRandom(5))
  image = [...contents.image(1, 1000, 1000), contents.blob(3_000_000, 3_000_000)]
  spare = new AgentChild()
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

it('after a kill before any disk step of a start and a pull, the next agent continues from there', {
  timeout: 1_200_000,
}, async (t) => {
  const root = await emptyFolder(t)
  const steps = await stepsOf(join(root, 'all'))
  // A blob is stored by these steps, in this order.
  for (const name of ['handle.datasync', 'fs.fdatasync', 'files.rename', 'handle.sync', 'index.batch']) {
    assert.ok(steps.includes(name), `${name} is not among ${steps.join(' ')}`)
  }
  const large = image.at(-1)?.digest ?? assert.fail()
  let [resumed, adopted] = [0, 0]
  const killBefore = async (step: number): Promise<void> => {
    const data = join(root, `${step}`)
    const stored = new Set<Digest>()
    const first = nextAgent()
    first.onMessage((message) => message.is === 'stored' && stored.add(message.digest))
    if (await first.start(options(data), { killBeforeStep: step })) await pullAll(first)
    await first.kill()
    const files = new Set((await blobFiles(data).catch(() => new Map<Digest, string>())).keys())
    const partialSize = (await partialSizes(data)).get(large)

    const what = `killed before step ${step}, ${steps[step - 1]}`
    upstream.heal()
    const requestsBefore = upstream.requests.length
    // The second agent is not killed, so it needs no process of its own.
    const second = createAgent(options(data))
    try {
      await second.start()
      const { port } = second.addresses.registry
      for (const item of image) {
        const got = await pull(`127.0.0.1:${port}`, item.path)
        assert.ok(checkAnswer(item, got), `${what}: ${item.path} is ${got.status}`)
        if (stored.has(item.digest)) assert.ok(isHit(got), `${what}: ${item.digest} was stored and is lost`)
        else if (files.has(item.digest) && isHit(got)) adopted += 1
      }
    } finally {
      await second.stop({ drainMs: 5000 })
    }
    // The repository of an adopted file is not known, so the agent asks upstream by HEAD, which is not counted.
    const again = upstream.requests
      .slice(requestsBefore)
      .filter(({ method, path }) => method === 'GET' && path.endsWith(large))
    if (partialSize !== undefined) {
      for (const { headers } of again) assert.equal(headers.range, `bytes=${partialSize}-`, what)
      resumed += 1
    }
    const storedFiles = await blobFiles(data)
    assert.deepEqual([...storedFiles.keys()].sort(), image.map(({ digest }) => digest).sort(), what)
    for (const [digest, file] of storedFiles) assert.equal(await hashOf(file), hexOf(digest), what)
    assert.equal((await partialSizes(data)).size, 0, what)
    await rm(data, { recursive: true })
  }
  for (let first = 1; first <= steps.length; first += STEPS_PER_TEST) {
    const last = Math.min(steps.length, first + STEPS_PER_TEST - 1)
    await t.test(`steps ${first} to ${last}`, async () => {
      for (let step = first; step <= last; step++) await killBefore(step)
    })
  }
  console.log(`${steps.length} steps, ${resumed} partial files resumed, ${adopted} files adopted`)
  assert.ok(adopted > 0, 'no file was ever between rename and index')
  assert.ok(resumed > 0, 'no partial file was ever left')
})

function nextAgent(): AgentChild {
  const agent = spare
  spare = new AgentChild()
  return agent
}

/** Every disk step of a start and a pull without faults. */
async function stepsOf(data: string): Promise<string[]> {
  const steps: string[] = []
  const agent = nextAgent()
  agent.onMessage((message) => message.is === 'step' && steps.push(message.name))
  await agent.start(options(data), { reportSteps: true })
  await pullAll(agent)
  await agent.stop()
  return steps
}

async function pullAll(agent: AgentChild): Promise<void> {
  for (const item of image) checkAnswer(item, await pull(agent.address, item.tagPath ?? item.path))
}

function options(data: string): AgentOptions {
  return {
    data,
    listen: { host: '127.0.0.1', port: 0 },
    patience: { retryPauseMs: 5 },
    upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
  }
}
