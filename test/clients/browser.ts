import type { TestContext } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { requirePrograms } from '../../testkit/programs.ts'

/** The deadline of every wait for a browser or a page. */
export const DEADLINE_MS = 120_000

/** Starts Chromium until the end of the test. Without Chromium the test is skipped or fails, and the result is undefined. */
export async function startBrowser(t: TestContext): Promise<Browser | undefined> {
  const programs = requirePrograms(t, ['chromium'])
  if (programs === undefined) return undefined
  // Chromium has no sandbox as root, and a container often has no /dev/shm. The pages under test need neither.
  const args = ['--no-sandbox', '--disable-dev-shm-usage']
  const browser = await chromium.launch({ executablePath: programs.chromium, args, timeout: DEADLINE_MS })
  t.after(() => browser.close())
  return browser
}

/** Records what a page must not do: errors, dialogs, requests that change something, and requests to other origins. */
export function recordViolations(page: Page, origin: string): string[] {
  const violations: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) violations.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => violations.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    violations.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) violations.push(`request to ${request.url()}`)
    if (request.method() !== 'GET') violations.push(`${request.method()} ${request.url()}`)
  })
  return violations
}
