import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryInPath } from '../../../src/oci/names/registry-host.ts'
import { repositoryKey } from '../../../src/oci/names/repository.ts'
import { parseRequestedName } from '../../../src/oci/names/requested-name.ts'
import { fc } from '../../../testkit/property-runs.ts'

function where(name: string, ns?: string, defaultNamespace = 'docker.io'): string {
  const found = parseRequestedName({ name, ns, defaultNamespace })
  return found.ok ? repositoryKey(found.value) : `refused: ${found.problem}`
}

test('the way in which each client names an image is understood', () => {
  const table: [name: string, ns: string | undefined, repository: string][] = [
    // containerd names the registry in `ns`.
    ['library/alpine', 'docker.io', 'docker.io/library/alpine'],
    ['alpine', 'registry-1.docker.io', 'docker.io/library/alpine'],
    ['acme/app', 'ghcr.io', 'ghcr.io/acme/app'],
    ['app', 'localhost:5000', 'localhost:5000/app'],
    ['app', 'localhost__5000', 'localhost:5000/app'],
    // CRI-O and podman put the registry before the name.
    ['docker.io/library/alpine', undefined, 'docker.io/library/alpine'],
    ['index.docker.io/alpine', undefined, 'docker.io/library/alpine'],
    ['ghcr.io/acme/team/app', undefined, 'ghcr.io/acme/team/app'],
    ['localhost__5000/app', undefined, 'localhost:5000/app'],
    ['registry__5000/app', undefined, 'registry:5000/app'],
    ['localhost/app', undefined, 'localhost/app'],
    // The explicit form begins with `proxy/`.
    ['proxy/ghcr.io/acme/app', undefined, 'ghcr.io/acme/app'],
    ['proxy/docker.io/alpine', undefined, 'docker.io/library/alpine'],
    ['proxy/host__5000/a/b', undefined, 'host:5000/a/b'],
    // Docker sends names of Docker Hub only.
    ['alpine', undefined, 'docker.io/library/alpine'],
    ['acme/app', undefined, 'docker.io/acme/app'],
    // The registry may be named twice.
    ['docker.io/library/alpine', 'docker.io', 'docker.io/library/alpine'],
    ['index.docker.io/alpine', 'registry-1.docker.io', 'docker.io/library/alpine'],
    ['proxy/ghcr.io/acme/app', 'ghcr.io', 'ghcr.io/acme/app'],
    // These names only look like one of these forms.
    ['my.org/app', 'ghcr.io', 'ghcr.io/my.org/app'],
    ['proxy/app', undefined, 'docker.io/proxy/app'],
    ['proxy/acme/app', undefined, 'docker.io/proxy/acme/app'],
    ['ghcr.io', undefined, 'docker.io/library/ghcr.io'],
    ['alpine', '', 'docker.io/library/alpine'],
  ]
  for (const [name, ns, repository] of table) assert.equal(where(name, ns), repository, `${name} ns=${ns}`)
})

test('the default namespace is used when a request names no registry', () => {
  assert.equal(where('app', undefined, 'ghcr.io'), 'ghcr.io/app')
  assert.equal(where('app', undefined, 'localhost:5000'), 'localhost:5000/app')
})

test('a name of no image is refused with a message', () => {
  for (const [name, ns] of [
    ['a', 'not a host'],
    ['a', 'http://evil'],
    ['a', 'a/b'],
    ['', undefined],
    ['..', undefined],
    ['../etc/passwd', undefined],
    ['Upper/case', undefined],
    ['docker.io/', undefined],
    ['ghcr.io/a b', undefined],
    ['x'.repeat(250), 'ghcr.io'],
  ] as const) {
    assert.match(where(name, ns), /^refused: .{10,}/, `${name} ns=${ns}`)
  }
})

test('all three forms of one address mean the same repository', () => {
  const registry = fc.constantFrom(
    'ghcr.io',
    'docker.io',
    'localhost:5000',
    'quay.io',
    'reg.example.com:8443',
  )
  const part = fc.stringMatching(/^[a-z0-9]{1,10}$/)
  fc.assert(
    fc.property(registry, fc.array(part, { minLength: 1, maxLength: 4 }), (host, parts) => {
      const name = parts.join('/')
      const byNs = where(name, host)
      assert.equal(where(`${registryInPath(host)}/${name}`), byNs)
      assert.equal(where(`proxy/${registryInPath(host)}/${name}`), byNs)
      assert.equal(where(`${registryInPath(host)}/${name}`, host), byNs)
    }),
  )
})

test('parsing never throws, and gives only valid names, whatever the text', () => {
  fc.assert(
    fc.property(fc.string(), fc.option(fc.string(), { nil: undefined }), (name, ns) => {
      const found = parseRequestedName({ name, ns, defaultNamespace: 'docker.io' })
      if (found.ok) assert.match(repositoryKey(found.value), /^[a-z0-9[\]:./_-]{1,255}$/)
    }),
  )
})
