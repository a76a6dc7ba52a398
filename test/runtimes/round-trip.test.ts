import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { install, uninstall } from '../../src/runtimes/operations.ts'
import { fc, runs } from '../../testkit/property-runs.ts'
import { Host } from './host.ts'
import {
  CERTS,
  CONFIG,
  CONFIG_2,
  DAEMON,
  DEFAULT_HOSTS,
  DROP_IN,
  MIRROR,
  optionsFor,
} from './install-fixture.ts'

const texts = fc.oneof(
  fc.constantFrom(
    '',
    '{}',
    '{"registry-mirrors":["https://a"]}',
    '# c',
    'server = "https://x"',
    '[host."https://y"]\n',
    CONFIG_2,
  ),
  fc.string({ unit: 'binary' }),
)
const priors = fc.dictionary(
  fc.constantFrom(
    CONFIG,
    DAEMON,
    DEFAULT_HOSTS,
    DROP_IN,
    `${CERTS}/a/hosts.toml`,
    '/etc/containers/registries.conf',
    '/etc/containers/registries.conf.d/99-x.conf',
  ),
  fc.oneof(texts, fc.uint8Array()),
)

test('whatever the files contain, an install and an uninstall together change nothing', async (t) => {
  await fc.assert(
    fc.asyncProperty(priors, fc.boolean(), async (files, writeConfig) => {
      const host = await Host.make(t, files)
      const before = await host.snapshot()
      await install({ ...MIRROR, writeConfig }, optionsFor(host))
      await install({ ...MIRROR, writeConfig, address: '127.0.0.1:1' }, optionsFor(host))
      await install({ ...MIRROR, writeConfig, tls: { ca: 'PEM\n' } }, optionsFor(host))
      await uninstall(MIRROR, optionsFor(host))
      assert.deepEqual(await host.snapshot(), before)
      await rm(host.root, { recursive: true })
    }),
    // Each run writes some dozen files to the disk.
    runs(15),
  )
})
