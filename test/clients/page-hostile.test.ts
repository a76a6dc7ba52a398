import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { createAdminServer } from '../../src/admin-api/server.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { Warming } from '../../src/warm/warming.ts'
import { HOSTILE_TEXTS, hostileReports } from '../page/hostile.ts'
import { MemoryUpkeepStore } from '../upkeep/memory-upkeep-store.ts'
import { MemoryTarget } from '../warm/memory-target.ts'
import { auditPage, prepareAudit } from './accessibility.ts'
import { DEADLINE_MS, recordViolations, startBrowser } from './browser.ts'

async function open(
  t: TestContext,
  options: { bypassCSP?: boolean; viewport?: { width: number; height: number } } = {},
): Promise<{ page: Page; violations: readonly string[]; store: MemoryUpkeepStore } | undefined> {
  const browser = await startBrowser(t)
  if (browser === undefined) return undefined
  const store = new MemoryUpkeepStore()
  const server = createAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    reports: hostileReports(),
    upkeep: new Upkeep(store, 'docker.io'),
    warming: new Warming(new MemoryTarget()),
  })
  t.after(() => server.stop())
  const origin = `http://127.0.0.1:${(await server.start()).port}`
  const context = await browser.newContext(options)
  await prepareAudit(context)
  const page = await context.newPage()
  page.setDefaultTimeout(DEADLINE_MS)
  const violations = recordViolations(page, origin)
  await page.goto(origin)
  await page
    .locator('#images > tr')
    .nth(HOSTILE_TEXTS.length - 1)
    .waitFor()
  return { page, violations, store }
}

/** Finds elements and attributes that the page does not have by itself, and links to other places. */
const FOREIGN = `[...document.querySelectorAll('img, svg:not(.swarm-picture), iframe, object, embed, script:not([src="page/main.js"])')]
  .map((element) => element.outerHTML)
  .concat([...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))
    .filter((href) => !/^(#|api\\/v1\\/|metrics$|healthz$|readyz)/.test(href)))
  .concat([...document.querySelectorAll('*')].flatMap((element) => element.getAttributeNames())
    .filter((name) => name.startsWith('on') || name === 'srcdoc'))`

test('hostile names are shown as text, even without the content security policy', async (t) => {
  const opened = await open(t, { bypassCSP: true })
  if (opened === undefined) return
  const { page, violations } = opened
  for (const text of HOSTILE_TEXTS.slice(0, 6)) {
    await page.locator('#images').getByText(`${text}:${text}`, { exact: true }).waitFor()
    await page.locator('#sources').getByText(text, { exact: true }).waitFor()
    await page.locator('#upstreams').getByText(text, { exact: true }).waitFor()
  }
  await page.getByText('All peers').click()
  const script = '<script>alert(2)</script>'
  const peer = `${script} at ${script}, zone ${script}, version ${script} (incompatible)`
  await page.getByText(peer, { exact: true }).waitFor()
  await page.locator('#subject').fill(HOSTILE_TEXTS[0])
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: `${HOSTILE_TEXTS[0]}:${HOSTILE_TEXTS[0]}` }).waitFor()
  const shown = await page.locator('body').textContent()
  for (const control of ['\u202e', '\u0007']) assert.equal(shown?.includes(control), false)
  assert.deepEqual(await page.evaluate(FOREIGN), [])
  assert.deepEqual(violations, [])
})

test('peers are summed up by zone, and long names do not break the layout', async (t) => {
  const opened = await open(t, { viewport: { width: 320, height: 800 } })
  if (opened === undefined) return
  const { page, violations } = opened
  await page.getByText(/^8 peers; 1\.0 MiB received, 2\.0 MiB sent\. This node is /).waitFor()
  const zones = await page.locator('#zones > tr').allTextContents()
  assert.equal(zones[0], `${HOSTILE_TEXTS[0]}11 B1 B`, 'the zone of this node comes first')
  assert.ok(zones.includes('none44 B4 B'), String(zones))
  await page.goto(`${page.url()}#why=alpine`)
  await page.getByRole('heading', { name: 'alpine:alpine' }).waitFor()
  assert.deepEqual(await auditPage(page), [])
  assert.deepEqual(violations, [])
})

test('a script that got into the page could neither write markup nor change anything', async (t) => {
  const opened = await open(t)
  if (opened === undefined) return
  const { page, store } = opened
  store.put('layer')
  await assert.rejects(page.evaluate('void (document.body.innerHTML = "<b>x</b>")'), /TrustedHTML/)
  for (const [method, path] of [
    ['POST', 'api/v1/gc'],
    ['POST', 'api/v1/pins'],
    ['DELETE', 'api/v1/images'],
  ] as const) {
    const status = await page.evaluate(
      `fetch('${path}', { method: '${method}', headers: { 'content-type': 'application/json' }, body: '{"toBytes":0}' })
         .then((response) => response.status)`,
    )
    assert.equal(status, 403, `${method} ${path}`)
  }
  assert.equal(store.stored.size, 1)
  await assert.rejects(page.evaluate(`fetch('http://127.0.0.2:1/')`), /Failed to fetch/)
})
