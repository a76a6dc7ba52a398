import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SEND_BUFFER_BYTES, SendBuffers } from '../../../../src/peers/wire/connection/send-buffers.ts'
import { neverAborted } from '../../../../testkit/peer-lab.ts'

const signal = neverAborted()

test('a single transfer may use three buffers, and each of many transfers one', async () => {
  const sendBuffers = new SendBuffers(4 * SEND_BUFFER_BYTES)
  const first = sendBuffers.openTransfer('member-1')
  for (let n = 0; n < 3; n += 1) {
    assert.equal(first.isFull, false)
    await first.acquire({ signal })
  }
  assert.equal(first.isFull, true)
  const others = [
    sendBuffers.openTransfer('member-2'),
    sendBuffers.openTransfer('member-3'),
    sendBuffers.openTransfer('member-4'),
  ]
  for (const transfer of others) {
    assert.equal(transfer.isFull, false)
    void transfer.acquire({ signal })
    assert.equal(transfer.isFull, true)
  }
  assert.equal(sendBuffers.lentCount, 4)
})

test('a member with many transfers leaves half of the buffers to others', async () => {
  const sendBuffers = new SendBuffers(8 * SEND_BUFFER_BYTES)
  const greedy = Array.from({ length: 8 }, () => sendBuffers.openTransfer('greedy'))
  const taken = greedy.map((transfer) => transfer.acquire({ signal }))
  assert.equal(sendBuffers.lentCount, 4)
  const other = sendBuffers.openTransfer('other')
  await other.acquire({ signal })
  assert.equal(sendBuffers.lentCount, 5)
  const [transfer] = greedy
  transfer?.release((await taken[0]) ?? assert.fail())
  await taken[4]
  assert.equal(sendBuffers.lentCount, 5)
})

test('transfers that wait for a buffer get released ones in the order of their requests', async () => {
  const sendBuffers = new SendBuffers(SEND_BUFFER_BYTES)
  const transfer = sendBuffers.openTransfer('member-5')
  const buffer = await transfer.acquire({ signal })
  const order: string[] = []
  const one = sendBuffers.openTransfer('member-6')
  const two = sendBuffers.openTransfer('member-7')
  const first = one.acquire({ signal }).then((got) => {
    order.push('one')
    return got
  })
  const second = two.acquire({ signal }).then(() => order.push('two'))
  transfer.release(buffer)
  assert.equal(await first, buffer)
  assert.equal(sendBuffers.lentCount, 1)
  one.release(buffer)
  await second
  assert.deepEqual(order, ['one', 'two'])
})

test('a transfer that stops waiting is passed over', async () => {
  const sendBuffers = new SendBuffers(SEND_BUFFER_BYTES)
  const transfer = sendBuffers.openTransfer('member-8')
  const buffer = await transfer.acquire({ signal })
  const aborted = new AbortController()
  const left = sendBuffers.openTransfer('member-9')
  const leaving = left.acquire({ signal: aborted.signal })
  const stays = sendBuffers.openTransfer('member-10').acquire({ signal })
  aborted.abort(new Error('left'))
  await assert.rejects(leaving, /left/)
  assert.equal(left.usedCount, 0)
  transfer.release(buffer)
  assert.equal(await stays, buffer)
})

test('few buffers stay allocated when nothing is sent', async () => {
  const sendBuffers = new SendBuffers(64 * SEND_BUFFER_BYTES)
  const transfers = Array.from({ length: 10 }, (_, at) => sendBuffers.openTransfer(`member-${at}`))
  const lent = await Promise.all(
    transfers.flatMap((transfer) =>
      [0, 1, 2].map(async () => ({ transfer, buffer: await transfer.acquire({ signal }) })),
    ),
  )
  for (const transfer of transfers) transfer.close()
  for (const { transfer, buffer } of lent) transfer.release(buffer)
  assert.equal(sendBuffers.lentCount, 0)
  assert.ok(sendBuffers.freeCount <= 4, `${sendBuffers.freeCount} are allocated`)
})
