import axe from 'axe-core'
import type { BrowserContext, Page } from 'playwright-core'

interface Finding {
  readonly id: string
  readonly help: string
  readonly nodes: readonly { readonly html: string }[]
}

/** Loads the audit into every page of the context. */
export async function prepareAudit(context: BrowserContext): Promise<void> {
  await context.addInitScript({ content: axe.source })
}

/** Gives a sentence for each fault of the accessibility of the page that axe finds, by WCAG 2.2 AA and good practice. */
export async function auditPage(page: Page): Promise<string[]> {
  const violations = (await page.evaluate(
    `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then(({ violations }) => violations.map(({ id, help, nodes }) =>
        ({ id, help, nodes: nodes.map(({ html }) => ({ html })) })))`,
  )) as Finding[]
  const faults = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 100)).join(' and ')}`,
  )
  const [width, visible] = (await page.evaluate(
    '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
  )) as [number, number]
  // WCAG 2.2, 1.4.10: nobody has to scroll in two directions.
  if (width > visible) faults.push(`the page is ${width} px wide, and ${visible} px are visible`)
  return faults
}
