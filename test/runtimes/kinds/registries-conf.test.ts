import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mirrorsFor, WELL_KNOWN } from '../../../src/runtimes/kinds/registries-conf.ts'
import { parseDocument } from '../toml-document.ts'

const OPTIONS = { address: '127.0.0.1:5050', isInsecure: true, only: undefined, alsoFor: [] }

function file(text: string, name = '/etc/containers/registries.conf') {
  return { name, text }
}

function entries(text: string): Record<string, unknown> {
  const all = (parseDocument(text)['registry'] ?? []) as { prefix: string }[]
  return Object.fromEntries(all.map((entry) => [entry.prefix, entry]))
}

test('every well-known registry gets the agent as its mirror, over HTTP only on this machine', () => {
  const { text, replaced, notes } = mirrorsFor([], OPTIONS)
  assert.deepEqual(Object.keys(entries(text)), WELL_KNOWN)
  assert.deepEqual(entries(text)['docker.io'], {
    prefix: 'docker.io',
    location: 'docker.io',
    mirror: [{ location: '127.0.0.1:5050/docker.io', insecure: true }],
  })
  assert.deepEqual([replaced, notes], [[], []])
  const remote = mirrorsFor([], {
    address: '10.0.0.7:5050',
    isInsecure: false,
    only: ['docker.io'],
    alsoFor: [],
  })
  assert.deepEqual(entries(remote.text)['docker.io'], {
    prefix: 'docker.io',
    location: 'docker.io',
    mirror: [{ location: '10.0.0.7:5050/docker.io' }],
  })
})

test('registries of the settings are added to the well-known ones', () => {
  const { text } = mirrorsFor([], { ...OPTIONS, alsoFor: ['reg.corp:5000', 'docker.io'] })
  assert.deepEqual(Object.keys(entries(text)), [...WELL_KNOWN, 'reg.corp:5000'])
  const only = mirrorsFor([], { ...OPTIONS, only: ['ghcr.io'], alsoFor: ['reg.corp:5000'] })
  assert.deepEqual(Object.keys(entries(only.text)), ['ghcr.io'])
})

test('an own entry copies the entry that it replaces', () => {
  const othersFile = `unqualified-search-registries = ["search.example", "docker.io"]
[[registry]]
prefix = "docker.io/library"
location = "corp:5000/hub"
insecure = true
mirror-by-digest-only = true
[[registry.mirror]]
location = "near.example"
pull-from-mirror = "tag-only"
[[registry]]
location = "no.example"
blocked = true
[[registry]]
prefix = "*.wild.example"
location = "wild.example"
`
  const { text, replaced, notes } = mirrorsFor([file(othersFile)], OPTIONS)
  const ownEntries = entries(text)
  assert.deepEqual(ownEntries['docker.io/library'], {
    prefix: 'docker.io/library',
    location: 'corp:5000/hub',
    insecure: true,
    'mirror-by-digest-only': true,
    mirror: [
      { location: '127.0.0.1:5050/corp__5000/hub', insecure: true },
      { location: 'near.example', 'pull-from-mirror': 'tag-only' },
    ],
  })
  assert.ok('docker.io' in ownEntries && 'search.example' in ownEntries)
  assert.ok(!('no.example' in ownEntries) && !('*.wild.example' in ownEntries))
  assert.deepEqual(replaced, ['/etc/containers/registries.conf'])
  assert.match(notes.join(), /^\*\.wild\.example gets no mirror/)
})

test('of several entries for one prefix the last is effective', () => {
  const files = [
    file('[[registry]]\nlocation = "a.example"\nblocked = true'),
    file('[[registry]]\nlocation = "a.example"', '/etc/containers/registries.conf.d/60-x.conf'),
    file(
      '[[registry]]\nlocation = "docker.io"\nblocked = true',
      '/etc/containers/registries.conf.d/70-x.conf',
    ),
  ]
  const { text, replaced } = mirrorsFor(files, OPTIONS)
  assert.ok('a.example' in entries(text))
  assert.ok(!('docker.io' in entries(text)))
  assert.deepEqual(replaced, ['/etc/containers/registries.conf.d/60-x.conf'])
})

test('the requested registries get a mirror, and so do prefixes in them that have an entry', () => {
  const othersFile = '[[registry]]\nlocation = "ghcr.io/acme"\n[[registry]]\nlocation = "quay.io/x"\n'
  const some = mirrorsFor([file(othersFile)], {
    ...OPTIONS,
    only: ['ghcr.io', 'localhost:5000'],
    alsoFor: [],
  })
  assert.deepEqual(Object.keys(entries(some.text)), ['ghcr.io', 'localhost:5000', 'ghcr.io/acme'])
  assert.equal((entries(some.text)['localhost:5000'] as { mirror: object[] }).mirror.length, 1)
})

test('a registry that a wildcard of others covers gets no entry', () => {
  const othersFile =
    'unqualified-search-registries = ["a.corp.example"]\n[[registry]]\nprefix = "*.corp.example"\nblocked = true\n'
  assert.ok(!('a.corp.example' in entries(mirrorsFor([file(othersFile)], OPTIONS).text)))
})

test('version 1 of the format is read too', () => {
  const othersFile =
    '[registries.search]\nregistries = ["s.example"]\n[registries.insecure]\nregistries = ["i.example"]\n[registries.block]\nregistries = ["quay.io"]\n'
  const ownEntries = entries(mirrorsFor([file(othersFile)], OPTIONS).text)
  assert.ok('s.example' in ownEntries && !('quay.io' in ownEntries))
  assert.equal((ownEntries['i.example'] as { insecure: boolean }).insecure, true)
})

test('an entry that has the agent already is not replaced, and without entries the text is empty', () => {
  const othersFile =
    '[[registry]]\nlocation = "ghcr.io"\n[[registry.mirror]]\nlocation = "127.0.0.1:5050/ghcr.io"\ninsecure = true\n'
  const { text, byOthers } = mirrorsFor([file(othersFile)], { ...OPTIONS, only: ['ghcr.io'], alsoFor: [] })
  assert.deepEqual([text, byOthers], ['', ['ghcr.io']])
})
