import { respondDelete } from './endpoints/push/deletes.ts'
import { respondPushManifest } from './endpoints/push/manifests.ts'
import type { PushResources, PushTarget } from './endpoints/push/push-context.ts'
import {
  respondAppend,
  respondBegin,
  respondCancel,
  respondFinish,
  respondUploadState,
} from './endpoints/push/uploads.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'
import type { PushRoute } from './route.ts'

/** Answers a request to a hosted repository by the endpoint of its path. */
export function respondPush(
  exchange: HttpExchange,
  route: PushRoute,
  target: PushTarget,
  resources: PushResources,
): Promise<void> {
  const { facts } = exchange
  switch (route.kind) {
    case 'begin-upload':
      return respondBegin(exchange, target, resources)
    case 'upload-state':
      return respondUploadState(exchange, target, route.id, resources)
    case 'append-upload':
      return respondAppend(exchange, target, route.id, resources)
    case 'finish-upload':
      return respondFinish(exchange, target, route.id, resources)
    case 'cancel-upload':
      return respondCancel(exchange, target, route.id, resources)
    case 'push-manifest':
      facts.reference = route.digest
      return respondPushManifest(exchange, target, { digest: route.digest, tag: undefined }, resources)
    case 'push-tag':
      facts.reference = route.tag
      return respondPushManifest(exchange, target, { digest: undefined, tag: route.tag }, resources)
    case 'delete-tag':
      facts.reference = route.tag
      return respondDelete(exchange, target, { kind: 'tag', tag: route.tag }, resources)
    case 'delete-manifest':
      facts.reference = route.digest
      return respondDelete(exchange, target, { kind: 'manifest', digest: route.digest }, resources)
    case 'delete-blob':
      facts.reference = route.digest
      return respondDelete(exchange, target, { kind: 'blob', digest: route.digest }, resources)
  }
}
