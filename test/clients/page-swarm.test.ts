import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { createAdminServer } from '../../src/admin-api/server.ts'
import { Reporter } from '../../src/observe/reports/reporter.ts'
import type { MemberActivity } from '../../src/schemas/peer-report.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { Warming } from '../../src/warm/warming.ts'
import { MemoryNode } from '../observe/memory-node.ts'
import { swarmMember } from '../page/swarm-member.ts'
import { MemoryUpkeepStore } from '../upkeep/memory-upkeep-store.ts'
import { MemoryTarget } from '../warm/memory-target.ts'
import { auditPage, prepareAudit } from './accessibility.ts'
import { DEADLINE_MS, recordViolations, startBrowser } from './browser.ts'

const SELF = { name: 'node-1', address: '10.0.0.1:5052', zone: 'east' }

async function startServer(t: TestContext, node: MemoryNode): Promise<string> {
  const reporter = new Reporter(node)
  const server = createAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    reports: reporter,
    upkeep: new Upkeep(new MemoryUpkeepStore(), 'docker.io'),
    warming: new Warming(new MemoryTarget()),
  })
  t.after(async () => {
    await server.stop()
    reporter.close()
  })
  return `http://127.0.0.1:${(await server.start()).port}`
}

interface Look {
  readonly colorScheme?: 'light' | 'dark'
  readonly width?: number
}

async function open(browser: Browser, origin: string, { colorScheme = 'light', width = 1100 }: Look = {}) {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } })
  await prepareAudit(context)
  const page: Page = await context.newPage()
  page.setDefaultTimeout(DEADLINE_MS)
  const violations = recordViolations(page, origin)
  await page.goto(origin)
  await page.getByText('Ready to serve clients.').first().waitFor()
  return { page, violations }
}

/** Eight members in two zones in a roll-out: one asks the registry, and the others take from each other. */
function rollOut(): { node: MemoryNode; others: readonly MemberActivity[] } {
  const others = [
    swarmMember('node-2', { zone: 'east', from: [['registry-1.docker.io', false]] }),
    swarmMember('node-3', { zone: 'east', from: [['node-2', true]] }),
    swarmMember('node-4', {
      zone: 'east',
      from: [
        ['node-3', true],
        ['node-3', true],
      ],
    }),
    swarmMember('node-5', { zone: 'west', from: [['node-2', true]] }),
    swarmMember('node-6', { zone: 'west', from: [['node-5', true]] }),
    swarmMember('node-7', { zone: 'west', from: [['node-6', true]] }),
    { ...swarmMember('a-node-with-quite-a-long-name-8', { zone: 'west' }), activity: null },
  ]
  const node = new MemoryNode()
  const peer = { version: '1.0.0', understood: true, since: '2026-01-01T00:00:00.000Z', taken: 0, given: 0 }
  const members = others.map(({ name, address, zone }) => ({ ...peer, id: name, name, address, zone }))
  node.swarm = { self: SELF, members, taking: [] }
  node.otherMembers = others
  node.put('content')
  return { node, others }
}

test('the swarm is drawn by zone with who gives to whom, and its numbers stand beside those of the node', async (t) => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  const { node } = rollOut()
  const origin = await startServer(t, node)
  const { page, violations } = await open(browser, origin)
  const name = '8 agents in 2 zones: 6 transfers between agents, 1 from registries and buckets'
  const picture = page.getByRole('img', { name, exact: true })
  await picture.waitFor()
  assert.equal(await picture.locator('path.edge').count(), 6)
  await picture.getByText('Zone west').waitFor()
  await picture.getByText('no answer').waitFor()
  await page.getByText('8 agents; 1 did not answer. Bytes count since the start of each agent.').waitFor()
  const row = page.locator('#swarm-figures tr', { hasText: 'Cached' })
  assert.deepEqual(await row.locator('td').allTextContents(), ['7 B', '3.0 GiB'])
  await page.getByText('Transfers in progress as a list').click()
  await page.getByText('node-4: 2 transfers from node-3', { exact: true }).waitFor()
  await page.getByText('node-2: 1 transfer from registries and buckets', { exact: true }).waitFor()
  await page.locator('#overview').getByText('2 of 3').waitFor()
  assert.deepEqual(violations, [])
})

test('the picture follows the roll-out, and is left out on a node without peers', async (t) => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  const { node, others } = rollOut()
  const { page, violations } = await open(browser, await startServer(t, node))
  await page.getByRole('img', { name: /^8 agents in 2 zones: 6 transfers/ }).waitFor()
  node.otherMembers = others.map((one) => ({
    ...one,
    activity: one.activity && { ...one.activity, transfers: [] },
  }))
  await page.getByRole('img', { name: /^8 agents in 2 zones: 0 transfers/ }).waitFor()
  node.swarm = undefined
  await page.locator('#swarm-section').waitFor({ state: 'hidden' })
  assert.deepEqual(violations, [])
})

test('an empty agent says what to do first, with its own address', async (t) => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  const node = new MemoryNode()
  node.registry = '0.0.0.0:5060'
  const { page, violations } = await open(browser, await startServer(t, node))
  await page.getByRole('heading', { name: 'First steps' }).waitFor()
  await page.getByText('podman pull --tls-verify=false 127.0.0.1:5060/docker.io/library/alpine:3').waitFor()
  await page.getByText('agent runtime install --listen 127.0.0.1:5060', { exact: true }).waitFor()
  assert.deepEqual(await auditPage(page), [])
  node.put('content')
  await page.locator('#start-section').waitFor({ state: 'hidden' })
  assert.deepEqual(violations, [])
})

test('the swarm is accessible at three widths in light and dark colors', async (t) => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  const origin = await startServer(t, rollOut().node)
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 768, 320]) {
      const { page, violations } = await open(browser, origin, { colorScheme, width })
      await page.getByRole('img', { name: /^8 agents/ }).waitFor()
      assert.deepEqual(await auditPage(page), [], `${colorScheme}, ${width}`)
      assert.deepEqual(violations, [])
      await page.context().close()
    }
  }
})
