// A device that logs in with golang.org/x/oauth2 as it comes.
//
// It writes the address for the person, then the tokens, each as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/oauth2"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: interop BASE_URL CLIENT_ID")
	}
	base, id := os.Args[1], os.Args[2]
	// No AuthStyle: the library finds out by itself, which is what most programs leave it to.
	config := oauth2.Config{
		ClientID: id,
		Endpoint: oauth2.Endpoint{DeviceAuthURL: base + "/device_authorization", TokenURL: base + "/token"},
		Scopes:   []string{"openid"},
	}
	ctx := context.Background()
	authorization, err := config.DeviceAuth(ctx)
	if err != nil {
		fail("start: %v", err)
	}
	write(map[string]string{
		"user_code":                 authorization.UserCode,
		"verification_uri":          authorization.VerificationURI,
		"verification_uri_complete": authorization.VerificationURIComplete,
	})
	token, err := config.DeviceAccessToken(ctx, authorization)
	if err != nil {
		fail("poll: %v", err)
	}
	write(map[string]any{
		"access_token":  token.AccessToken,
		"refresh_token": token.RefreshToken,
		"token_type":    token.Type(),
		"valid":         token.Valid(),
	})
}

func write(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fail("standard output: %v", err)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
