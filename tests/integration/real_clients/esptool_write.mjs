// SPDX-License-Identifier: MIT
// esptool_write.mjs PACKAGE HOST PORT OFFSET=FILE...: writes files with the unmodified esptool-js over a Web
// Serial port that leads to TCP. Prints the chip and, as JSON, what the port's signals were.
import fs from 'node:fs';
import net from 'node:net';
import {Duplex} from 'node:stream';
import {pathToFileURL} from 'node:url';

const [packageFolder, host, port, ...files] = process.argv.slice(2);
const {ESPLoader, Transport} = await import(pathToFileURL(`${packageFolder}/lib/index.js`));

const signals = [];
class TcpPort {
  async open() {
    this.socket = net.connect(Number(port), host);
    this.socket.setNoDelay(true);
    await new Promise((done, failed) => this.socket.once('connect', done).once('error', failed));
    ({readable: this.readable, writable: this.writable} = Duplex.toWeb(this.socket));
  }
  async close() { this.socket.destroy(); }
  getInfo() { return {}; }
  async setSignals({dataTerminalReady, requestToSend}) {
    signals.push([Number(dataTerminalReady ?? -1), Number(requestToSend ?? -1)]);
  }
}

const transport = new Transport(new TcpPort());
const quiet = {clean() {}, writeLine() {}, write() {}};
const loader = new ESPLoader({transport, baudrate: 115200, terminal: quiet});
await loader.connect();
console.log(`chip ${loader.chip.CHIP_NAME}`);
await loader.flashSpiAttach(0);
// Its comparison of MD5 is for a stub only; whoever runs this compares the board's flash.
await loader.writeFlash({
  fileArray: files.map((file) => {
    const [offset, path] = file.split('=');
    return {address: Number(offset), data: new Uint8Array(fs.readFileSync(path))};
  }),
  flashSize: 'keep', flashMode: 'keep', flashFreq: 'keep', eraseAll: false, compress: false,
});
console.log(`signals ${JSON.stringify(signals)}`);
process.exit(0);
