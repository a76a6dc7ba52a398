import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INSTALL_RECORD_PATH } from '../../../src/runtimes/files/install-record.ts'
import { install } from '../../../src/runtimes/operations.ts'
import { Host } from '../host.ts'
import { CONFIG, CONFIG_2, MIRROR, optionsFor } from '../install-fixture.ts'

test('an install record of a later version is an error', async (t) => {
  const host = await Host.make(t, {
    [INSTALL_RECORD_PATH]: '{"version": 2, "files": []}',
    [CONFIG]: CONFIG_2,
  })
  await assert.rejects(
    install(MIRROR, optionsFor(host)),
    /installed\.json was not written by this version of the agent/,
  )
})
