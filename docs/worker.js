/* Chromium lets a page that is read from a file start no worker, which the search is: there it runs
   in a hidden frame. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inside = frame.contentWindow
      const document_ = frame.contentDocument
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.inside.importScripts = (...urls) =>
        urls.reduce((before, each) => before.then(() => this.load(document_, each)), Promise.resolve())
      this.ready = this.load(document_, url)
    }

    load(document_, url) {
      return new Promise((done, failed) => {
        const script = document_.createElement("script")
        script.src = url
        script.onload = done
        script.onerror = failed
        document_.body.append(script)
      })
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {}
  }
}
