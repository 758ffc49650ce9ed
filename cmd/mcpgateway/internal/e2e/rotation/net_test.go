package rotation_test

// newServerPair makes server-new.crt and server-new.key.
const newServerPair = `
openssl genrsa -out server-new.key 2048
openssl req -new -key server-new.key -out server-new.csr -subj "/CN=localhost"
openssl x509 -req -in server-new.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server-new.crt -days 365
`
