import type { TestContext } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { requirePrograms } from '../../testkit/programs.ts'

/** For whatever a browser or a page is waited for. */
export const DEADLINE_MS = 120_000

/** A real browser; undefined, with the test skipped or failed, where there is none. It ends with the test. */
export async function startBrowser(t: TestContext): Promise<Browser | undefined> {
  const programs = requirePrograms(t, ['chromium'])
  if (programs === undefined) return undefined
  // As root it has no sandbox, in a container often no /dev/shm; both are nothing to a page of ours.
  const args = ['--no-sandbox', '--disable-dev-shm-usage']
  const browser = await chromium.launch({ executablePath: programs.chromium, args, timeout: DEADLINE_MS })
  t.after(() => browser.close())
  return browser
}

/** What a page did that it must not: errors, and requests to others than `origin`. */
export function misdeeds(page: Page, origin: string): string[] {
  const found: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) found.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => found.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    found.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) found.push(`request to ${request.url()}`)
    if (request.method() !== 'GET') found.push(`${request.method()} ${request.url()}`)
  })
  return found
}
