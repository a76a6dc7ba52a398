/** A promise that is settled from outside, by functions that may be handed on. */
export class Deferred<Value> {
  readonly promise: Promise<Value>
  resolve: (value: Value) => void = () => {}
  reject: (reason: unknown) => void = () => {}

  constructor() {
    this.promise = new Promise<Value>((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}
