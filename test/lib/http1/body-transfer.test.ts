import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'

import {
  ALL,
  BYTES,
  CLIENTS,
  isFailure,
  same,
  startTransport,
} from '../../upstream/transport/transport-server.ts'

for (const { name, tls, who } of CLIENTS) {
  test(`${who}: reads a body completely`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const response = await get()
    assert.equal(response.status, 200)
    assert.equal(response.body.length, BYTES.length)
    const intake = new MemoryIntake()
    await response.body.readInto(intake, ALL)
    assert.ok(same(intake.bytes, BYTES))
  })

  test(`${who}: reads a body completely into an intake that is full again and again`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const intake = new MemoryIntake({ window: 10_007, room: 50_000 })
    const read = (await get()).body.readInto(intake, ALL)
    let ended = false
    read.finally(() => (ended = true)).catch(() => {})
    while (!ended) {
      await Promise.race([intake.full(), read])
      const before = intake.position
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(intake.position, before, 'the intake gets nothing while it is full')
      intake.drain()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await read
    assert.ok(same(intake.bytes, BYTES))
    assert.ok(intake.pauses > 40)
  })

  test(`${who}: skips the bytes that the intake already has`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const intake = new MemoryIntake({ start: BYTES.subarray(0, 1_234_567) })
    await (await get()).body.readInto(intake, { ...ALL, skip: 1_234_567 })
    assert.ok(same(intake.bytes, BYTES))
  })

  test(`${who}: a failure of the intake ends the reading with that failure`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const intake = new MemoryIntake({ room: 50_000 })
    const read = (await get()).body.readInto(intake, ALL)
    const outcome = assert.rejects(read, isFailure('disk', /full/))
    await intake.full()
    intake.fail(new Failure('disk', 'the disk is full'))
    await outcome
  })

  test(`${who}: a body over its limit is refused`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    await assert.rejects(
      (await get()).body.readInto(new MemoryIntake(), { skip: 0, limit: 1000 }),
      isFailure('too-large'),
    )
  })

  for (const how of ['fin', 'rst'] as const) {
    test(`${who}: a body that breaks off (${how}) is a failure, and the intake keeps the bytes before`, async (t) => {
      const { get, server, digest } = await startTransport(t, name, tls)
      server.fault(digest, { dieAt: 1_000_000, how })
      const intake = new MemoryIntake()
      await assert.rejects((await get()).body.readInto(intake, ALL), isFailure('unavailable'))
      assert.ok(intake.position <= 1_000_000)
      assert.ok(same(intake.bytes, BYTES.subarray(0, intake.position)))
      if (how === 'fin') assert.equal(intake.position, 1_000_000)
    })
  }

  test(`${who}: a body shorter than declared is a failure`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { lengthLie: 1000 })
    const intake = new MemoryIntake()
    await assert.rejects((await get()).body.readInto(intake, ALL), isFailure('unavailable'))
    assert.equal(intake.position, BYTES.length)
  })

  test(`${who}: a body of undeclared length is read completely`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { chunked: true })
    for (let i = 0; i < 2; i += 1) {
      const response = await get()
      assert.equal(response.body.length, undefined)
      const intake = new MemoryIntake()
      await response.body.readInto(intake, ALL)
      assert.ok(same(intake.bytes, BYTES))
    }
  })

  test(`${who}: a body of undeclared length that breaks off is a failure`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { chunked: true, dieAt: 500_000 })
    await assert.rejects((await get()).body.readInto(new MemoryIntake(), ALL), isFailure('unavailable'))
  })

  test(`${who}: an empty body is read`, async (t) => {
    const { get, server } = await startTransport(t, name, tls)
    const digest = server.addBlob(new Uint8Array(0))
    const response = await get({ url: new URL(`${server.url}/v2/a/blobs/${digest}`) })
    const intake = new MemoryIntake()
    await response.body.readInto(intake, ALL)
    assert.equal(intake.position, 0)
  })

  test(`${who}: an abort during the body fails with the reason of the signal`, async (t) => {
    const { get, server, digest } = await startTransport(t, name, tls)
    server.fault(digest, { stallAt: 100_000 })
    const controller = new AbortController()
    const reason = new Error('gone')
    const response = await get({ signal: controller.signal })
    const outcome = assert.rejects(
      response.body.readInto(new MemoryIntake(), ALL),
      (error) => error === reason,
    )
    await server.stalled(digest)
    controller.abort(reason)
    await outcome
  })

  test(`${who}: an abort while the intake is full fails with the reason of the signal`, async (t) => {
    const { get } = await startTransport(t, name, tls)
    const controller = new AbortController()
    const reason = new Error('gone')
    const intake = new MemoryIntake({ room: 50_000 })
    const response = await get({ signal: controller.signal })
    const outcome = assert.rejects(response.body.readInto(intake, ALL), (error) => error === reason)
    await intake.full()
    controller.abort(reason)
    await outcome
  })
}
