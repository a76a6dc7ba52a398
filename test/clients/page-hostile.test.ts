import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { createAdminServer } from '../../src/admin-api/server.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { Warming } from '../../src/warm/warming.ts'
import { HOSTILE, hostileReports } from '../page/hostile.ts'
import { MemoryUpkeepStore } from '../upkeep/memory-upkeep-store.ts'
import { MemoryTarget } from '../warm/memory-target.ts'
import { DEADLINE_MS, misdeeds, startBrowser } from './browser.ts'

const AUDIT = fileURLToPath(new URL('../../../test/page/audit.js', import.meta.url))

async function open(
  t: TestContext,
  options: { bypassCSP?: boolean; viewport?: { width: number; height: number } } = {},
): Promise<{ page: Page; wrong: readonly string[]; kept: MemoryUpkeepStore } | undefined> {
  const browser = await startBrowser(t)
  if (browser === undefined) return undefined
  const kept = new MemoryUpkeepStore()
  const server = createAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    reports: hostileReports(),
    upkeep: new Upkeep(kept, 'docker.io'),
    warming: new Warming(new MemoryTarget()),
  })
  t.after(() => server.stop())
  const origin = `http://127.0.0.1:${(await server.start()).port}`
  const context = await browser.newContext(options)
  await context.addInitScript({ path: AUDIT })
  const page = await context.newPage()
  page.setDefaultTimeout(DEADLINE_MS)
  const wrong = misdeeds(page, origin)
  await page.goto(origin)
  await page
    .locator('#images > tr')
    .nth(HOSTILE.length - 1)
    .waitFor()
  return { page, wrong, kept }
}

/** Elements that no file of ours has, and links that lead anywhere else. */
const FOREIGN = `[...document.querySelectorAll('img, svg, iframe, object, embed, script:not([src="page/main.js"])')]
  .map((element) => element.outerHTML)
  .concat([...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))
    .filter((href) => !/^(#|api\\/v1\\/|metrics$|healthz$|readyz)/.test(href)))
  .concat([...document.querySelectorAll('*')].flatMap((element) => element.getAttributeNames())
    .filter((name) => name.startsWith('on') || name === 'srcdoc'))`

test('whatever things are called by others, it is text: without the policy, too', async (t) => {
  const opened = await open(t, { bypassCSP: true })
  if (opened === undefined) return
  const { page, wrong } = opened
  for (const text of HOSTILE.slice(0, 6)) {
    await page.locator('#images').getByText(`${text}:${text}`, { exact: true }).waitFor()
    await page.locator('#upstreams').getByText(text, { exact: true }).waitFor()
  }
  await page.getByText('Each of them').click()
  const script = '<script>alert(2)</script>'
  const peer = `${script} at ${script}, zone ${script}, ${script}, which is not understood here`
  await page.getByText(peer, { exact: true }).waitFor()
  await page.locator('#subject').fill(HOSTILE[0])
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: `${HOSTILE[0]}:${HOSTILE[0]}` }).waitFor()
  const shown = await page.locator('body').textContent()
  for (const sign of ['\u202e', '\u0007']) assert.equal(shown?.includes(sign), false, 'turned round, or rung')
  assert.deepEqual(await page.evaluate(FOREIGN), [])
  assert.deepEqual(wrong, [])
})

test('peers are told by their zones, and long names break no layout', async (t) => {
  const opened = await open(t, { viewport: { width: 320, height: 800 } })
  if (opened === undefined) return
  const { page, wrong } = opened
  await page.getByText(/; it has 8 peers, has had 1\.0 MiB from them and given them 2\.0 MiB\.$/).waitFor()
  const zones = await page.locator('#zones > tr').allTextContents()
  assert.equal(zones[0], `${HOSTILE[0]}11 B1 B`, 'its own first')
  assert.ok(zones.includes('none44 B4 B'), String(zones))
  await page.goto(`${page.url()}#why=alpine`)
  await page.getByRole('heading', { name: 'alpine:alpine' }).waitFor()
  assert.deepEqual(await page.evaluate('audit()'), [])
  assert.deepEqual(wrong, [])
})

test('a script that got into the page after all could not write markup or change anything', async (t) => {
  const opened = await open(t)
  if (opened === undefined) return
  const { page, kept } = opened
  kept.put('layer')
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
  assert.equal(kept.stored.size, 1)
  await assert.rejects(page.evaluate(`fetch('http://127.0.0.2:1/')`), /Failed to fetch/)
})
