package tributary.peer;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.Map;

/** The active codes of ISO 4217 by their digits after the point: Tributary's list, which is newer than the JDK's. */
final class Currencies {
    private static final Map<String, Integer> MINOR_UNITS = new HashMap<>();

    static {
        put(0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF");
        put(
                2,
                "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
                        + "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
                        + "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD "
                        + "MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR "
                        + "RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD "
                        + "TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG");
        put(3, "BHD IQD JOD KWD LYD OMR TND");
        put(4, "CLF UYW");
    }

    private Currencies() {}

    private static void put(int digits, String codes) {
        for (String code : codes.split(" ")) {
            MINOR_UNITS.put(code, digits);
        }
    }

    /** Stops at a text that is no code. That it is a currency's is asked later. */
    static void check(String field, String code) {
        boolean isCode = code.length() == 3 && code.chars().allMatch(letter -> letter >= 'A' && letter <= 'Z');
        if (!isCode) {
            throw Door.wrong(field, code + " is not three capital letters");
        }
    }

    /** Digits after the point; -1 for a code that is not an active currency. */
    static int minorUnits(String currency) {
        return MINOR_UNITS.getOrDefault(currency, -1);
    }

    /** Whether the amount has no more digits than the currency. */
    static boolean fits(BigInteger amount, String currency) {
        int digits = minorUnits(currency);
        return digits >= 0 && amount.mod(BigInteger.TEN.pow(4 - digits)).signum() == 0;
    }
}
