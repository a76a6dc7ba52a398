import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { referencePages } from '../../../release/reference/pages.ts'
import { SETTINGS } from '../../../src/config/schema.ts'

const FOLDER = fileURLToPath(new URL('../../../../docs/reference', import.meta.url))

test('the pages in docs/reference are those of the code; npm run schemas writes them', async () => {
  const pages = referencePages()
  assert.deepEqual((await readdir(FOLDER)).sort(), [...pages.keys()].sort())
  for (const [name, text] of pages) assert.equal(await readFile(join(FOLDER, name), 'utf8'), text, name)
})

test('the pages have every setting, with the keys of its maps', () => {
  const page = referencePages().get('settings.md') ?? ''
  for (const name of Object.keys(SETTINGS)) assert.match(page, new RegExp(`^## ${name}$`, 'm'))
  assert.match(page, /^\| `passwordFile` \| text, optional \| a path \|$/m)
  assert.match(page, /^\| flag \| `--metrics-listen` \|$/m)
})

test('the pages say what metrics, events and answers mean', () => {
  const pages = referencePages()
  assert.match(
    pages.get('metrics.md') ?? '',
    /^\| `leat_http_requests_total` \| counter \| `route`, `method`, `code` \| Requests to the registry API/m,
  )
  assert.match(pages.get('events.md') ?? '', /^### request\n\nA request of a client/m)
  assert.match(pages.get('events.md') ?? '', /"type": "dev\.leat\.image\.first-used"/)
  assert.match(
    pages.get('api.md') ?? '',
    /^\| `store\.scrub\.lastRound\.endedAt` \| time \| RFC 3339 in UTC\. \|$/m,
  )
})
