import { apiPage } from './api-page.ts'
import { eventsPage } from './events-page.ts'
import { metricsPage } from './metrics-page.ts'
import { settingsPage } from './settings-page.ts'

/** The pages of docs/reference by file name. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ['settings.md', settingsPage()],
    ['metrics.md', metricsPage()],
    ['events.md', eventsPage()],
    ['api.md', apiPage()],
  ])
}
