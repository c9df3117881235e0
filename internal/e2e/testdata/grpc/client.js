// Calls the demo in all four ways, and prints what it has got of each as a line of JSON.
//
//   node client.js ADDRESS TOKEN FOLDER-OF-PROTOS ROOM
'use strict';

const { randomUUID } = require('node:crypto');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, token, folder, room] = process.argv.slice(2);
const definition = loader.loadSync('sockscope/chat/v1/chat.proto', {
  includeDirs: [folder], keepCase: true, longs: Number, enums: String, oneofs: true,
});
const { ChatService } = grpc.loadPackageDefinition(definition).sockscope.chat.v1;
const client = new ChatService(address, grpc.credentials.createInsecure());

const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${token}`);
const deadline = () => ({ deadline: Date.now() + 20_000 });
const print = (call, got) => console.log(JSON.stringify({ call, ...got }));

const answerOf = (call) => new Promise((resolve, reject) => {
  call((err, answer) => (err ? reject(err) : resolve(answer)));
});

// frameOf resolves with the first frame that is wanted.
const frameOf = (call, wanted) => new Promise((resolve, reject) => {
  call.on('error', reject);
  call.on('data', ({ frame }) => {
    if (wanted(frame)) resolve(frame);
  });
});

async function main() {
  const refused = await answerOf((done) => client.SendMessage(
    { message_id: randomUUID(), room, text: 'who am I?' }, new grpc.Metadata(), deadline(), done,
  )).catch((err) => err);
  print('refused', { code: grpc.status[refused.code], details: refused.metadata.get('grpc-status-details-bin').length > 0 });

  const sent = await answerOf((done) => client.SendMessage(
    { message_id: randomUUID(), room, text: 'by call' }, metadata, deadline(), done,
  ));
  print('SendMessage', sent);

  const subscription = client.SubscribeMessages({ rooms: [{ room, after: sent.seq - 1 }] }, metadata, deadline());
  const missed = await frameOf(subscription, (f) => f.payload === 'history');
  print('SubscribeMessages', { text: missed.history.messages[0].text, seq: missed.history.messages[0].seq });
  subscription.on('error', () => {}); // it is cancelled
  subscription.cancel();

  const chat = client.Chat(metadata, deadline());
  const request = (payload) => {
    const now = Date.now();
    const message_id = randomUUID();
    chat.write({ message_id, timestamp: { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1e6 }, ...payload });
    return message_id;
  };
  const acks = (id) => frameOf(chat, (f) => f.payload === 'ack' && f.message_id === id);
  await acks(request({ join: { room } }));
  const id = request({ message: { room, text: 'by chat' } });
  const [ack, heard] = await Promise.all([acks(id), frameOf(chat, (f) => f.payload === 'message' && f.message_id === id)]);
  print('Chat', { text: heard.message.text, seq: heard.seq, saved_id: ack.ack.saved_id });
  chat.on('error', () => {});
  chat.cancel();

  const counts = await answerOf((done) => {
    const upload = client.UploadLogs(metadata, deadline(), done);
    upload.write({ severity: 'SEVERITY_WARN', text: 'slow network', attributes: { page: 'chat' } });
    upload.write({ text: '' });
    upload.end();
  });
  print('UploadLogs', counts);
  client.close();
}

main().catch((err) => {
  console.error(err);
  process.exitCode = 1;
});
