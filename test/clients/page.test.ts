import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { type Agent, type AgentOptions, createAgent } from '../../src/agent.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { auditPage, prepareAudit } from './accessibility.ts'
import { DEADLINE_MS, recordViolations, startBrowser } from './browser.ts'
import { startSteppedRegistry } from './stepped-registry.ts'

/** The page of a real agent in a real browser. */

const MIB = 1024 * 1024

interface Lab {
  readonly browser: Browser
  readonly upstream: FaultyUpstream
  readonly agent: Agent
  /** The origin of the admin address. */
  readonly origin: string
  readonly folder: string
}

async function startLab(
  t: TestContext,
  { otherHost, ...options }: { otherHost?: string } & Pick<AgentOptions, 'objectStore' | 'copies'> = {},
): Promise<Lab | undefined> {
  const browser = await startBrowser(t)
  if (browser === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-page-'))
  const upstream = await startFaultyUpstream()
  const local = { host: '127.0.0.1', port: 0 }
  const agent = createAgent({
    data: join(folder, 'data'),
    listen: local,
    admin: local,
    maxBytes: { bytes: 64 * MIB },
    // An upstream that stalls is not given up: a test decides when it continues.
    patience: { progressTimeoutMs: 600_000, sizeTimeoutMs: 600_000 },
    upstreams: { entries: [{ namespace: 'up.test', hosts: [otherHost ?? upstream.host], tls: false }] },
    ...options,
  })
  t.after(async () => {
    await agent.stop({ drainMs: 0 })
    await upstream.close()
    await rm(folder, { recursive: true, force: true })
  })
  await agent.start()
  return { browser, upstream, agent, origin: `http://127.0.0.1:${agent.addresses.admin?.port}`, folder }
}

interface OpenPage {
  readonly page: Page
  /** What the page did that it must not do. */
  readonly violations: readonly string[]
}

async function open({ browser, origin }: Lab, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext(options)
  await prepareAudit(context)
  const page = await context.newPage()
  page.setDefaultTimeout(DEADLINE_MS)
  const violations = recordViolations(page, origin)
  await page.goto(origin)
  await page.getByText('Ready to serve clients.').first().waitFor()
  return { page, violations }
}

function blobUrl({ agent }: Lab, digest: string): string {
  return `http://127.0.0.1:${agent.addresses.registry.port}/v2/up.test/team/app/blobs/${digest}`
}

/** Pulls an image as a client does. */
async function pull(lab: Lab, tag: string): Promise<void> {
  const { port } = lab.agent.addresses.registry
  const manifest = await fetch(`http://127.0.0.1:${port}/v2/up.test/team/app/manifests/${tag}`)
  const { config, layers } = JSON.parse(await manifest.text())
  for (const { digest } of [config, ...layers]) {
    const response = await fetch(blobUrl(lab, digest))
    assert.equal(response.status, 200)
    await response.arrayBuffer()
  }
}

test('the page shows the store, the savings, the pulls and the upstreams, and follows their changes', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  const { page, violations } = await open(lab)
  await page.getByText('No pulls since the agent started.').waitFor()
  assert.equal(await page.locator('#peers-section').isVisible(), false)

  lab.upstream.extraHeaders.set('ratelimit-limit', '100;w=21600').set('ratelimit-remaining', '76;w=21600')
  lab.upstream.addImage('team/app', 'v1', [randomBytes(2 * MIB)])
  await pull(lab, 'v1')
  const pulls = page.locator('#pulls')
  await pulls.getByText(/2\.0 MiB from upstream/).waitFor()
  // The next pull is served from the store only when the blobs are there.
  await page.locator('#overview').getByText('3 blobs, limit 64.0 MiB').waitFor()
  await pull(lab, 'v1')
  // On a slow machine the two pulls are far apart, and the page shows them separately.
  await pulls.getByText(/2\.0 MiB from the store/).waitFor()
  await page.getByText('50% of what clients got was not downloaded for them').waitFor()
  await page.locator('#served').getByText('2.0 MiB from the store (50%)').waitFor()
  const row = page.getByRole('row', { name: /up\.test\/team\/app:v1/ })
  await row.getByText('whole').waitFor()
  await page
    .getByRole('row', { name: new RegExp(lab.upstream.host) })
    .getByText('76 of 100 per 6h')
    .waitFor()
  assert.deepEqual(violations, [])
})

test('a transfer in progress is listed with its progress until it has ended', async (t) => {
  const blob = randomBytes(4 * MIB)
  const registry = await startSteppedRegistry(t, blob)
  const lab = await startLab(t, { otherHost: registry.host })
  if (lab === undefined) return
  const { page, violations } = await open(lab)
  registry.sendUpTo(MIB)
  const response = fetch(blobUrl(lab, registry.digest)).then((got) => got.arrayBuffer())
  const flights = page.locator('#flights')
  await flights.getByRole('progressbar', { name: /^blob sha256:\w{12}… of up\.test\/team\/app$/ }).waitFor()
  await flights.getByText(/^1\.0 MiB of 4\.0 MiB \(25%\), .*, 1 request, started /).waitFor()
  await flights.getByRole('link').focus()
  const value = 'document.querySelector("#flights progress").value'
  assert.equal(await page.evaluate(value), MIB)
  for (const [percent, bytes] of [
    ['50%', 2 * MIB],
    ['75%', 3 * MIB],
  ] as const) {
    registry.sendUpTo(bytes)
    await flights.getByText(`(${percent})`).waitFor()
    assert.equal(await page.evaluate(value), bytes)
  }
  assert.equal(await page.evaluate('document.activeElement.closest("#flights") !== null'), true)
  registry.sendUpTo(blob.length)
  assert.equal((await response).byteLength, blob.length)
  await page.getByText('No transfers in progress.').waitFor()
  assert.equal(await flights.locator('> li').count(), 0)
  assert.deepEqual(violations, [])
})

test('a pull is shown with its requests and who answered them, and a failed one with its reason', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  lab.upstream.addImage('team/app', 'v1', [randomBytes(MIB), randomBytes(1000)])
  const { page, violations } = await open(lab)
  assert.match(await page.title(), /^\S+ – Leat$/)
  await pull(lab, 'v1')
  const item = page.locator('#pulls > li').filter({ hasText: 'team/app:v1' }).last()
  await item.getByText('4 requests', { exact: true }).click()
  const parts = item.locator('.waterfall > li')
  await parts
    .filter({ hasText: /^manifest v1/ })
    .getByText(/ from upstream, /)
    .waitFor()
  await parts
    .filter({ hasText: '1.0 MiB' })
    .getByText(new RegExp(` from ${lab.upstream.host}, `))
    .waitFor()
  assert.equal(await parts.count(), 4)
  assert.deepEqual(await auditPage(page), [])

  const { port } = lab.agent.addresses.registry
  const response = await fetch(`http://127.0.0.1:${port}/v2/up.test/team/none/manifests/v9`)
  assert.equal(response.status, 404)
  const failed = page.locator('#pulls > li').filter({ hasText: 'team/none:v9' })
  await failed
    .locator('.bad')
    .getByText(/^1 failed: .*does not have it/)
    .waitFor()
  assert.deepEqual(violations, [])
})

test('the cards of an object store and of copies say what they have done, and what is wrong', async (t) => {
  const fake = await FakeS3.start()
  addCleanup(t, () => fake.close())
  const bucket = { bucket: 'images', prefix: 'cache', endpoint: fake.endpoint, environment: TEST_KEYS }
  const lab = await startLab(t, {
    objectStore: bucket,
    copies: [
      {
        to: { ...bucket, prefix: 'copies' },
        schedule: { images: ['up.test/team/app:v1'], cron: '0 0 29 2 *' },
      },
    ],
  })
  if (lab === undefined) return
  lab.upstream.addImage('team/app', 'v1', [randomBytes(MIB)])
  const { page, violations } = await open(lab)
  const cards = page.locator('#overview')
  await cards.getByText('not asked for a content yet').waitFor()
  await cards.getByText('s3://images/copies: ').waitFor()
  await pull(lab, 'v1')
  await cards
    .getByText(/^s3:\/\/images\/cache: 0 of 3 contents found \(0 %\); 3 contents \(1\.0 MiB\) sent/)
    .waitFor()
  fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  // Each content is asked of the bucket, which is paused after five failures.
  lab.upstream.addImage(
    'team/app',
    'v2',
    Array.from({ length: 6 }, () => randomBytes(1000)),
  )
  await pull(lab, 'v2')
  await cards.getByText('Paused').waitFor()
  await cards
    .getByText(/SlowDown/)
    .first()
    .waitFor()
  assert.deepEqual(violations, [])
})

test('the history of the last hour and day is shown as columns and as a table', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  lab.upstream.addImage('team/app', 'v1', [randomBytes(2 * MIB)])
  const { page, violations } = await open(lab)
  await page.getByText('No requests in the last hour.').waitFor()
  await pull(lab, 'v1')
  const served = page.getByRole('img', { name: /^Served bytes by source: 2\.0 MiB in the last hour$/ })
  await served.waitFor()
  assert.equal(await served.locator('> div').count(), 60)
  await page.getByText('Values', { exact: true }).click()
  await page.locator('#history-rows').getByRole('cell', { name: '2.0 MiB' }).first().waitFor()
  await page.getByLabel('Time', { exact: true }).selectOption('Last day')
  const day = page.getByRole('img', { name: /^Served bytes by source: 2\.0 MiB in the last day$/ })
  await day.waitFor()
  assert.equal(await day.locator('> div').count(), 96)
  assert.deepEqual(await auditPage(page), [])
  assert.deepEqual(violations, [])
})

test('images can be filtered and sorted, and are shown a hundred at a time', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  const { port } = lab.agent.addresses.registry
  const names = Array.from({ length: 120 }, (_, i) => `team/app-${String(i).padStart(3, '0')}`)
  for (const name of names) {
    lab.upstream.addImage(name, 'v1', [randomBytes(100)])
    await (await fetch(`http://127.0.0.1:${port}/v2/up.test/${name}/manifests/v1`)).arrayBuffer()
  }
  const { page, violations } = await open(lab)
  const rows = page.locator('#images > tr')
  await page.getByText('120 images', { exact: true }).waitFor()
  assert.equal(await rows.count(), 100)
  await page.getByLabel('Sort by').selectOption('name')
  await rows.first().getByText('up.test/team/app-000:v1').waitFor()
  await page.getByRole('button', { name: 'Show 20 more' }).click()
  await rows.nth(119).getByText('up.test/team/app-119:v1').waitFor()
  await page.getByLabel('Filter').fill('APP-01 v1')
  await page.getByText('10 of 120 images', { exact: true }).waitFor()
  assert.equal(await rows.count(), 10)
  assert.deepEqual(await auditPage(page), [])
  assert.deepEqual(violations, [])
})

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let steps = 0; steps < 30; steps++) {
    await page.keyboard.press('Tab')
    if (await page.locator(`${selector}:focus`).count()) return
  }
  assert.fail(`${selector} cannot be reached by the keyboard`)
}

test('an image, a digest or an invalid name can be looked up by the keyboard alone', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  const { manifest, layers } = lab.upstream.addImage('team/app', 'v1', [randomBytes(1000)])
  await pull(lab, 'v1')
  const { page, violations } = await open(lab)
  await page.keyboard.press('Tab')
  assert.equal(await page.locator(':focus').textContent(), 'Skip to content')
  assert.notEqual(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none')
  await tabTo(page, '#subject')
  await page.keyboard.type('up.test/team/app:v1')
  await page.keyboard.press('Enter')
  const why = page.locator('#why')
  await why.getByText(manifest).first().waitFor()
  await page.locator('#why-title:focus').waitFor()
  assert.match(page.url(), /#why=up\.test%2Fteam%2Fapp%3Av1$/)
  await why.getByText('2 of 2 stored').waitFor()

  await tabTo(page, `#why-facts a[href*="${layers[0]?.slice(7)}"]`)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: layers[0] ?? '' }).waitFor()
  await why.getByText(/^1000 B \(blob.* from upstream/).waitFor()
  await page.goBack()
  await page.getByRole('heading', { name: 'up.test/team/app:v1' }).waitFor()

  await page.locator('#subject').focus()
  await page.keyboard.press('Control+A')
  await page.keyboard.type('NO <b>SUCH</b>')
  const refused = page.waitForEvent('console', (message) => message.text().includes('400'))
  await page.keyboard.press('Enter')
  await why.getByText('Error').waitFor()
  await page.getByRole('heading', { name: 'NO <b>SUCH</b>' }).waitFor()
  await refused
  await tabTo(page, '#why-close')
  await page.keyboard.press('Enter')
  await why.waitFor({ state: 'hidden' })
  await page.locator('#subject:focus').waitFor()
  // The browser itself logs that a response was 400.
  assert.deepEqual(
    violations.filter((one) => !one.includes('400 (Bad Request)')),
    [],
  )
})

test('the page is accessible in light and dark colors, and on a narrow screen', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  lab.upstream.addImage('team/app', 'v1', [randomBytes(1000)])
  await pull(lab, 'v1')
  const digest = lab.upstream.addBlob(randomBytes(4 * MIB))
  lab.upstream.fault(digest, { stallAt: MIB })
  const getting = fetch(blobUrl(lab, digest)).then((response) => response.arrayBuffer())
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1100, 320]) {
      const { page, violations } = await open(lab, { colorScheme, viewport: { width, height: 900 } })
      await page.locator('#flights progress').waitFor()
      await page.locator('#images a').first().click()
      await page.getByText('2 of 2 stored').waitFor()
      assert.deepEqual(await auditPage(page), [], `${colorScheme}, ${width}`)
      const path = join(lab.folder, `${colorScheme}-${width}.png`)
      const picture = await page.screenshot({ path, fullPage: true })
      t.diagnostic(`${path}: ${picture.length} bytes`)
      assert.deepEqual(violations, [])
      await page.context().close()
    }
  }
  lab.upstream.release()
  await getting
})

test('the page sends no requests while it is hidden, and says that the agent does not respond', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  const { page } = await open(lab)
  const setHidden = async (hidden: boolean): Promise<void> => {
    await page.evaluate(
      `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
       document.dispatchEvent(new Event('visibilitychange'))`,
    )
  }
  await page.clock.install()
  await page.waitForRequest(/status/)
  await setHidden(true)
  let requests = 0
  page.on('request', () => {
    requests += 1
  })
  await page.clock.runFor(60_000)
  assert.equal(requests, 0)
  const again = page.waitForRequest(/status/)
  await setHidden(false)
  await again
  await lab.agent.stop({ drainMs: 0 })
  await page.clock.runFor(10_000)
  await page.getByText('The agent does not respond. The values below are out of date.').first().waitFor()
})

test('the page asks for the token once, keeps it for its tab, and asks again when it is wrong', async (t) => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-page-'))
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, 'a-token-for-everything')
  const local = { host: '127.0.0.1', port: 0 }
  const agent = createAgent({
    data: join(folder, 'data'),
    listen: local,
    admin: local,
    adminAuth: { tokenFile },
  })
  t.after(async () => {
    await agent.stop({ drainMs: 0 })
    await rm(folder, { recursive: true, force: true })
  })
  await agent.start()
  const origin = `http://127.0.0.1:${agent.addresses.admin?.port}`
  const context = await browser.newContext()
  await prepareAudit(context)
  const page = await context.newPage()
  page.setDefaultTimeout(DEADLINE_MS)
  const violations = recordViolations(page, origin)
  await page.goto(origin)
  await page.getByText('Enter the token to see what this agent does.').first().waitFor()
  const token = page.getByLabel('Token of this agent')
  await token.fill('a-wrong-token-for-it')
  await page.getByRole('button', { name: 'Log in' }).click()
  await token.waitFor({ state: 'visible' })
  assert.deepEqual(await auditPage(page), [])
  await token.fill('a-token-for-everything')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('Ready to serve clients.').first().waitFor()
  await page.reload()
  await page.getByText('Ready to serve clients.').first().waitFor()
  assert.equal(await token.isVisible(), false)
  assert.deepEqual(await context.cookies(), [])
  const other = await context.newPage()
  await other.goto(origin)
  await other.getByText('Enter the token to see what this agent does.').first().waitFor()
  // The browser itself logs that a response was 401.
  assert.deepEqual(
    violations.filter((one) => !one.includes('401 (Unauthorized)')),
    [],
  )
})
