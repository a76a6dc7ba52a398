import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AdminFixture, sendRequest } from './admin-fixture.ts'

const PAGE = fileURLToPath(new URL('../../../src/page/', import.meta.url))
const fixture = new AdminFixture()

test('the page at / links to all endpoints', async () => {
  const page = await sendRequest(await fixture.startServer(), '/')
  assert.match(String(page.headers['content-type']), /^text\/html/)
  for (const path of ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/why'])
    assert.ok(page.body.includes(path))
})

test('every file of the page is served, and everything that its scripts import', async () => {
  const port = await fixture.startServer()
  const files = (await readdir(PAGE, { recursive: true })).filter((name) => /\.(?!md$)\w+$/.test(name))
  const paths = new Set(files.map((name) => (name === 'index.html' ? '/' : `/page/${name}`)))
  assert.ok(paths.size > 10)
  // A set also iterates over the paths that are added meanwhile, so the imports of imports are requested, too.
  for (const path of paths) {
    const got = await sendRequest(port, path)
    const [, kind = 'html'] = path.split('.')
    assert.equal(got.status, 200, path)
    assert.match(String(got.headers['content-type']), new RegExp({ js: 'javascript' }[kind] ?? kind), path)
    for (const [, name = ''] of got.body.matchAll(/^(?:import .*|\}) from '(.+)';?$/gm))
      paths.add(new URL(name, `http://localhost${path}`).pathname)
  }
  assert.ok(paths.has('/observe/why-facts.js') && paths.has('/observe/text.js'))
  for (const path of ['/page/', '/page/index.html', '/page/../server.ts', '/observe/events.js'])
    assert.equal((await sendRequest(port, path)).status, 404, path)
})
