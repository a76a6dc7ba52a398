import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imported } from '../imported.ts'

test('the command line becomes a source of the same folder', async () => {
  const { settings, notes, kind } = await imported(
    `./static-container-registry.py --name-prefix myproject --server-root '$registry_root' --omit-constants /srv/images > registry.conf`,
  )
  assert.equal(kind, 'static-container-registry')
  assert.deepEqual(settings, {
    sources: [{ dir: '/srv/images', namePrefix: 'myproject', exclusive: true }],
  })
  assert.deepEqual(notes, [
    'Leat serves the files of /srv/images itself: set listen to the address where nginx has served them.',
    "To serve them by nginx as before: agent export --from dir:/srv/images --to static:DIR --nginx FILE --name-prefix myproject --server-root '$registry_root' --constants without.",
  ])
})

test('without a path the current folder is meant', async () => {
  const { settings, notes } = await imported('static-container-registry.py', {
    kind: 'static-container-registry',
  })
  assert.deepEqual(settings.sources, [{ dir: '.', exclusive: true }])
  assert.match(notes.join('\n'), /write the whole path/)
})

test('a prefix that cannot be the first part of a name is left out with the source', async () => {
  const { settings, notes } = await imported('static-container-registry --name-prefix "My Project" /x')
  assert.deepEqual(settings, {})
  assert.match(notes.join('\n'), /namePrefix is "My Project"; expected the first part of a name/)
})
